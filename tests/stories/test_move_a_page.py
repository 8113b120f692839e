"""The snippets of docs/how-to/move-a-page.md, taken out of the page and run: what they sign, the bridge accepts."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask
from storykit import ROOT
from webkit import ASSERTION, KID, Web, web

from bridge.adapters.jwks import Jwks
from bridge.model import Identity

PAGE = (ROOT / "docs" / "how-to" / "move-a-page.md").read_text()
USER = {"id": "ada", "name": "Ada Lovelace", "email": "ada@example.com", "groups": ["Finance", "Größe"]}
EXPRESS = """
import { qlikRoutes } from "./qlik.mjs";

const routes = {};
qlikRoutes({ get: (path, handler) => (routes[path] = handler) });
const say = (what) => console.log(JSON.stringify(what));
const answer = { set: () => answer, sendStatus: say, json: say };
routes["/qlik/assertion"]({}, answer);
routes["/qlik/assertion"]({ user: JSON.parse(process.argv[2]) }, answer);
"""


def snippet(language: str, first: str) -> str:
    """Return the code block that begins with a line that holds *first*."""
    found = [
        block for block in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if first in block.split("\n")[0]
    ]
    assert len(found) == 1, first
    return str(found[0])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that the portal runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def key_in(place: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (place / "portal-key.pem").write_bytes(pem)


def bridge_of(place: Path) -> Web:
    """Return a bridge that knows the portal by the JWKS that the page's own snippet prints."""
    (place / "jwks.py").write_text(snippet("python", "jwks.py"))
    printed = subprocess.run([sys.executable, "jwks.py"], cwd=place, capture_output=True, text=True, check=True).stdout
    (place / "portal-jwks.json").write_text(printed)
    assert not {"d", "p", "q"} & json.loads(printed)["keys"][0].keys()
    found = web(**ASSERTION)
    found.clock.now = time.time()
    published = Jwks(str(place / "portal-jwks.json"), found.clock).find(KID)
    assert published is not None
    found.key_set.keys = {KID: published}
    return found


def opened(bridge: Web, assertion: str) -> Identity:
    """Trade the assertion for a session as embed.js of another site does; return whom the bridge takes it for."""
    headers = {"Authorization": f"Bearer {assertion}", "Sec-Fetch-Site": "cross-site"}
    answer = bridge.visitor().post("/t/acme/session", headers=headers)
    assert answer.status_code == 200, answer.text
    session = bridge.bridge.sessions.find(answer.get_json()["session"])
    assert session is not None
    return session.identity


def expect_ada(identity: Identity) -> None:
    assert identity.subject.sub == USER["id"]
    assert identity.subject.name == USER["name"]
    assert identity.subject.email == USER["email"]
    assert identity.subject.groups == frozenset(USER["groups"])
    assert identity.tenant == "acme"


@pytest.fixture
def portal_user(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Be the extension that tells a Flask portal who is signed in."""
    user = SimpleNamespace(is_authenticated=True, **USER)
    monkeypatch.setitem(sys.modules, "flask_login", SimpleNamespace(current_user=user))
    return user


def test_the_flask_portal_vouches(place: Path, portal_user: SimpleNamespace) -> None:
    key_in(place, ec.generate_private_key(ec.SECP256R1()))
    bridge = bridge_of(place)
    spaces: dict[str, object] = {"__name__": "qlik"}
    exec(compile(snippet("python", "qlik.py"), "qlik.py", "exec"), spaces)  # noqa: S102 - our own document
    app = Flask("portal")
    app.register_blueprint(spaces["blueprint"])  # type: ignore[arg-type]
    portal = app.test_client()

    first, second = (portal.get("/qlik/assertion") for _ in range(2))
    portal_user.is_authenticated = False
    refused = portal.get("/qlik/assertion")

    assert first.headers["Cache-Control"] == "no-store"
    expect_ada(opened(bridge, first.get_json()["assertion"]))
    expect_ada(opened(bridge, second.get_json()["assertion"]))
    assert refused.status_code == 401


def test_the_node_portal_vouches(place: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node on the path")
    key_in(place, ec.generate_private_key(ec.SECP256R1()))
    bridge = bridge_of(place)
    (place / "qlik.mjs").write_text(snippet("js", "qlik.mjs"))
    (place / "portal.mjs").write_text(EXPRESS)

    ran = subprocess.run([node, "portal.mjs", json.dumps(USER)], cwd=place, capture_output=True, text=True, check=True)
    refused, given = ran.stdout.splitlines()

    assert refused == "401"
    expect_ada(opened(bridge, json.loads(given)["assertion"]))


def test_the_php_portal_vouches(place: Path) -> None:
    php = shutil.which("php")
    if php is None:
        pytest.skip("there is no PHP on the path")
    key_in(place, rsa.generate_private_key(65537, 3072))
    bridge = bridge_of(place)
    code = snippet("php", "qlik/assertion.php").replace("/../../private/portal-key.pem", "/portal-key.pem")
    signed_in = "$_SESSION = ['user' => json_decode(getenv('PORTAL_USER'), true)];"
    (place / "assertion.php").write_text(code.replace("session_start();", signed_in))
    environment = {**os.environ, "PORTAL_USER": json.dumps(USER)}

    ran = subprocess.run([php, "assertion.php"], cwd=place, capture_output=True, text=True, check=True, env=environment)

    expect_ada(opened(bridge, json.loads(ran.stdout)["assertion"]))


@pytest.mark.parametrize("language", ["python", "js", "php"])
def test_the_snippets_vouch_with_every_claim(language: str) -> None:
    code = snippet(language, {"python": "qlik.py", "js": "qlik.mjs", "php": "qlik/assertion.php"}[language])

    for claim in ("iss", "aud", "tenant", "sub", "name", "email", "groups", "jti", "iat", "exp", "kid"):
        assert re.search(rf"""\b{claim}\b["']?\s*(?::|=>)""", code), claim
