"""The floor plan, as a test: which room may import which, and how big a room may grow."""

import ast
from pathlib import Path

import pytest

BRIDGE = Path(__file__).parents[1] / "bridge"
NOUNS = {
    *("budgeting", "deadline", "decisions", "diagnosis", "digests", "errors", "evidence", "explanations", "guarding"),
    "history",
    *("licences", "memory", "model", "plan", "roles", "sealing", "texts", "trail", "webhooks"),
}
MAY_IMPORT = {
    "__init__": set[str](),
    "deadline": set[str](),
    "memory": set[str](),
    "diagnosis": set[str](),
    "digests": set[str](),
    "errors": set[str](),
    "roles": set[str](),
    "texts": set[str](),
    "budgeting": set[str](),
    "decisions": {"model"},
    "guarding": {"history"},
    "history": set[str](),
    "licences": set[str](),
    "sealing": set[str](),
    "webhooks": {"texts"},
    "plan": {"texts"},
    "evidence": {"errors", "texts"},
    "explanations": {"diagnosis"},
    "model": {"digests", "errors", "evidence", "guarding", "plan", "texts", "webhooks"},
    "trail": {"errors", "model", "texts", "webhooks"},
    "ports": NOUNS,
    "settings": NOUNS,
    "gauges": set[str](),
    "telemetry": {"errors", "gauges"},
    "services": NOUNS | {"ports", "telemetry"},
    "adapters": NOUNS | {"ports", "telemetry"},
    "bootstrap": NOUNS | {"ports", "settings", "telemetry", "services", "adapters"},
    "web": NOUNS | {"ports", "bootstrap", "settings", "services", "telemetry", "gauges"},
    "wsgi": {"bootstrap", "errors", "settings", "telemetry", "web"},
    "cli": NOUNS | {"bootstrap", "settings", "services", "telemetry", "sandbox"},
    "sandbox": set[str](),
}
ONLY_HERE = {  # outside library -> the rooms, or the single files, that may use it
    "flask": {"web", "sandbox", "wsgi"},
    "werkzeug": {"web", "sandbox"},
    "sqlalchemy": {"adapters"},
    "alembic": {"adapters"},
    "requests": {"adapters"},
    "urllib3": {"adapters"},
    "authlib": {"adapters", "web/oidc"},
    "jwt": {"services/signer", "web/identity", "sandbox"},
    "openfeature": {"services/rollout", "adapters/flags", "bootstrap"},
    "apispec": {"web/api/document"},
    "click": {"cli"},
    "rich": {"cli"},
    "jinja2": {"cli"},
    "gunicorn": {"sandbox"},
    "flask_sock": {"sandbox"},
    "simple_websocket": {"sandbox"},
    "websockets": {"adapters/engine"},
}
FILES = sorted(BRIDGE.rglob("*.py"))
MIGRATIONS = BRIDGE / "adapters" / "sql" / "migrations"


def where(path: Path) -> str:
    return path.relative_to(BRIDGE).with_suffix("").as_posix()


def imports(path: Path) -> set[str]:
    """Return the dotted names that *path* imports, relative imports made absolute."""
    found: set[str] = set()
    package = ("bridge", *path.relative_to(BRIDGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            head = ".".join([*base, *filter(None, [node.module])])
            found |= {f"{head}.{alias.name}" for alias in node.names}
    return found


def strays(path: Path) -> set[str]:
    """Return the imports of *path* that the plan forbids."""
    spot = where(path)
    room = spot.split("/")[0]
    found = set()
    for name in imports(path):
        top, _, rest = name.partition(".")
        inner = rest.split(".")[0]
        if top == "bridge" and (BRIDGE / f"{inner}.py").exists() | (BRIDGE / inner).is_dir():
            allowed = inner in {room, ""} or inner in MAY_IMPORT.get(room, set())
        else:
            allowed = not ONLY_HERE.get(top) or bool({room, spot} & ONLY_HERE[top])
        if not allowed:
            found.add(name)
    return found


@pytest.mark.parametrize("path", FILES, ids=where)
def test_rooms_import_only_downwards(path: Path) -> None:
    assert strays(path) == set()


@pytest.mark.parametrize("path", [path for path in FILES if not path.is_relative_to(MIGRATIONS)], ids=where)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", [path for path in FILES if not path.is_relative_to(MIGRATIONS)], ids=where)
def test_functions_stay_short(path: Path) -> None:
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {each.name: length for each in functions if (length := (each.end_lineno or 0) - each.lineno + 1) > 40}

    assert long == {}


def test_the_law_sees_a_wrong_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "services"
    room.mkdir()
    (tmp_path / "web").mkdir()
    wrong = room / "wrong.py"
    wrong.write_text(
        "import requests\nfrom bridge.web import create_app\nfrom ..web import x\nfrom bridge import web\n"
    )
    monkeypatch.setattr(f"{__name__}.BRIDGE", tmp_path)

    assert strays(wrong) == {"requests", "bridge.web.create_app", "bridge.web.x", "bridge.web"}


def test_the_wsgi_door_is_thin() -> None:
    assert len((BRIDGE.parent / "app.py").read_text().splitlines()) <= 15
