"""What a machine can see of our manners: how secrets are compared, and what the linter looks for."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECRET = re.compile(r"(^|_)(token|secret|password|csrf|signature|mac|digest|hash|hashed|verifier|nonce)$")
FILES = [path for path in sorted((ROOT / "bridge").rglob("*.py")) if "sandbox" not in path.parts]


def name_of(node: ast.expr) -> str:
    """Return the last name of an expression: `x.csrf_token`, `token(x)` and `given["secret"]` all have one."""
    if isinstance(node, ast.Call):
        inner = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr == "encode" else node.func
        return name_of(inner)
    if isinstance(node, ast.Subscript):
        return node.slice.value if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) else ""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def compared(tree: ast.AST) -> Iterator[str]:
    """Yield what is compared by `==` and `!=` and called like a secret; not with constants, nor by the database."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops):
            sides = [node.left, *node.comparators]
            if not any(isinstance(each, ast.Constant) or ".c." in ast.unparse(each) for each in sides):
                yield from (ast.unparse(node) for each in sides if SECRET.search(name_of(each)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_secrets_are_compared_in_constant_time(path: Path) -> None:
    """By `hmac.compare_digest`, or not at all: sessions and operator tokens are looked up by their digest."""
    assert list(compared(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize("source", ["given == csrf_token", "x.secret != y", "token(anchor).encode() == given"])
def test_a_comparison_that_takes_its_time_is_seen(source: str) -> None:
    assert list(compared(ast.parse(source))) == [source]


def is_of_security(rule: str) -> bool:
    return re.fullmatch(r"S\d*", rule) is not None


def test_the_security_rules_of_the_linter_are_on() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]

    assert lint["select"] == ["ALL"]
    assert not [rule for rule in lint["ignore"] if is_of_security(rule)]
    assert [place for place, rules in lint["per-file-ignores"].items() if any(map(is_of_security, rules))] == [
        "tests/**"
    ]
