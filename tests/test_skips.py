"""What becomes of a test that skips itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = {
    "test_one.py": "import pytest\ndef test_it():\n    pytest.skip('there is no make')\n",
    "test_file.py": "import pytest\npytest.skip('there is no file', allow_module_level=True)\n",
    "test_known.py": "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False\n",
}


@pytest.mark.parametrize(
    ("ci", "ending", "told"),
    [("", 0, {"2 skipped"}), ("true", 1, {"there is no make", "there is no file", "1 failed, 1 xfailed, 1 error"})],
)
def test_on_ci_it_fails_and_says_what_it_lacks(tmp_path: Path, ci: str, ending: int, told: set[str]) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "skips", "--continue-on-collection-errors", str(tmp_path)]
    alone = {**os.environ, "CI": ci, "PYTHONPATH": str(HERE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == ending, ran.stdout
    assert {each for each in told if each in ran.stdout} == told, ran.stdout
