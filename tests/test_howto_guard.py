"""The code of docs/how-to/guard-a-tenant.md does what it says, in Python and in Node."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.services.notices import signature

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "guard-a-tenant.md"
SECRET = "a webhook's secret"
BODY = '{"reason": "Ä guardrail"}'.encode()

Verify = Callable[[str, dict[str, str], bytes], bool]


def code(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


def in_python(secret: str, headers: dict[str, str], body: bytes) -> bool:
    namespace: dict[str, Verify] = {}
    exec(code("python"), namespace)  # noqa: S102 - our own page
    return namespace["is_genuine"](secret, headers, body)


def in_node(secret: str, headers: dict[str, str], body: bytes) -> bool:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    lowered = {name.lower(): value for name, value in headers.items()}
    asked = f"isGenuine({json.dumps(secret)}, {json.dumps(lowered)}, Buffer.from({json.dumps(body.hex())}, 'hex'))"
    script = f"{code('js')}\nconsole.log({asked})"
    told = subprocess.run([node, "-e", script], check=True, capture_output=True, text=True).stdout.strip()
    assert told in {"true", "false"}
    return told == "true"


@pytest.mark.parametrize("verify", [in_python, in_node])
def test_the_documented_check(verify: Verify) -> None:
    now = int(time.time())
    good = {"Bridge-Timestamp": str(now), "Bridge-Signature": f"v1={signature(SECRET, now, BODY)}"}
    old = {"Bridge-Timestamp": str(now - 301), "Bridge-Signature": f"v1={signature(SECRET, now - 301, BODY)}"}

    assert verify(SECRET, good, BODY)
    assert not verify(SECRET, good, BODY + b" ")
    assert not verify("another secret here", good, BODY)
    assert not verify(SECRET, good | {"Bridge-Timestamp": str(now + 1)}, BODY)
    assert not verify(SECRET, good | {"Bridge-Signature": "v1="}, BODY)
    assert not verify(SECRET, old, BODY)
