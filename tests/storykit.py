"""What stories are told with: processes, tenants seen from outside, people without a browser."""

import json
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from openfeature.exception import GeneralError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider.no_op_provider import NoOpProvider
from werkzeug.serving import make_server

from bridge.bootstrap import Bridge
from bridge.model import Stage
from bridge.services.stages import Move
from bridge.services.tenants import Declared

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60


PORTS = range(15_000, 32_000)
"""Below those that the kernel lends to whoever calls out: a server that is started again finds its own still free."""


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.extend({port} - set(found))
    return found


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, f"{what}: the process ended with {process.returncode}"
        assert time.monotonic() < give_up, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.02)


def wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, f"not within {PATIENCE_S} s"
        time.sleep(0.02)


def answers(url: str) -> Callable[[], bool]:
    def asked() -> bool:
        try:
            return requests.get(url, timeout=2).ok
        except requests.RequestException:
            return False

    return asked


def listens(port: int) -> Callable[[], bool]:
    def asked() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return asked


@contextmanager
def running_sandbox(acme: int, globex: int, *portal_origins: str, tls: bool = False) -> Iterator[None]:
    """Serve two sandbox tenants from a process of their own."""
    command = [sys.executable, "-m", "bridge.sandbox", "--exit-with-parent", *(["--tls"] if tls else [])]
    origins = [f"--portal-origin={origin}" for origin in portal_origins]
    process = subprocess.Popen([*command, *origins, f"--acme-port={acme}", f"--globex-port={globex}"], cwd=ROOT)
    try:
        for port in (acme, globex):
            is_up = listens(port) if tls else answers(f"http://127.0.0.1:{port}/_sandbox/state")
            wait_until(is_up, process, "sandbox")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def running_bridge(
    port: int,
    environment: Mapping[str, str],
    log: Path,
    config: str = "python:bridge.cli.demo_server",
    *,
    options: Sequence[str] = (),
    app: str = "app:app",
) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the bridge from a process of its own, as the demo does; its output goes to *log*."""
    command = [sys.executable, "-m", "gunicorn", f"--config={config}", f"--chdir={ROOT}", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--bind=127.0.0.1:{port}", app],
            cwd=ROOT,
            env=dict(environment),
            stdout=output,
            stderr=output,
        )
        try:
            wait_until(answers(f"http://127.0.0.1:{port}/healthz"), process, "bridge")
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


@dataclass
class Tenant:
    """A sandbox tenant, looked at from outside."""

    origin: str
    certificate: str | bool = True
    """Where the origin is https: the file of the certificate to believe."""

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.control("GET", "state").json()
        return answer

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        answer = requests.request(
            method, f"{self.origin}/_sandbox/{path}", json=body, timeout=20, verify=self.certificate
        )
        assert answer.ok, answer.text
        return answer

    def calls(self, *paths: str) -> list[str]:
        """Return the paths called, those given alone when any is given."""
        listed = [call["path"] for call in self.control("GET", "calls").json() if call["method"] != "OPTIONS"]
        return [path for path in listed if not paths or path in paths]

    def forget_calls(self) -> None:
        self.control("DELETE", "calls")

    def admin(self) -> dict[str, str]:
        """Return the header of the tenant's management client."""
        client = next(each for each in self.state()["clients"] if each["role"] == "management")
        proof = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
        answer = requests.post(
            f"{self.origin}/oauth/token", json={"grant_type": "client_credentials", **proof}, timeout=10
        )
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def me(self, token: str) -> dict[str, Any]:
        answer = requests.get(
            f"{self.origin}/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def idp_groups(self, token: str) -> set[str]:
        groups = self.me(token)["assignedGroups"]
        return {group["name"] for group in groups if group.get("providerType") == "idp"} - {"com.qlik.Everyone"}


@dataclass
class Person:
    """Somebody at a browser, without the browser."""

    base: str
    http: requests.Session = field(default_factory=requests.Session)
    heard: list[str] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on to requests
        return self._note(self.http.get(self.base + path, timeout=20, allow_redirects=False, **options))

    def post(self, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on to requests
        return self._note(self.http.post(self.base + path, timeout=20, allow_redirects=False, **options))

    def _note(self, answer: requests.Response) -> requests.Response:
        """Keep every error answer: the leak test searches them."""
        if answer.status_code >= 400:
            self.heard.append(answer.text)
        return answer

    def sign_in(self, username: str) -> requests.Response:
        page = self.get("/login")
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert found, page.text
        return self.post("/login", data={"username": username, "csrf_token": found[1]})

    def sign_out(self) -> requests.Response:
        return self.post("/logout", headers={"CSRF-Token": self.csrf("acme")})

    def session(self, slug: str) -> dict[str, Any]:
        answer = self.get(f"/t/{slug}/session")
        assert answer.ok, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def csrf(self, slug: str) -> str:
        return str(self.session(slug)["csrf"])

    def access_token(self, slug: str, **headers: str) -> requests.Response:
        return self.post(f"/t/{slug}/access-token", headers={"CSRF-Token": self.csrf(slug), **headers})

    def move(self, slug: str, to: str, **more: object) -> requests.Response:
        body = {"to": to, "reason": "story", **more}
        return self.post(f"/api/v1/tenants/{slug}/stage", json=body, headers={"CSRF-Token": self.csrf("acme")})


@dataclass
class World:
    """A bridge with two sandbox tenants behind it."""

    base: str
    acme: Tenant
    globex: Tenant
    people: list[Person] = field(default_factory=list)

    def person(self, username: str | None = None) -> Person:
        somebody = Person(self.base)
        self.people.append(somebody)
        if username:
            assert somebody.sign_in(username).status_code == 303
        return somebody

    def at(self, stage: str, percent: float = 0) -> None:
        """Walk acme from legacy to a stage, and forget what that caused."""
        erin = self.person("erin")
        order = ["legacy", "shadow", "rollout", "oauth", "retired"]
        for step in order[1 : order.index(stage) + 1]:
            answer = erin.move("acme", step, percent=percent, force=step == "retired")
            assert answer.ok, answer.text
        self.acme.forget_calls()
        self.globex.forget_calls()


PORTAL_ISSUER = "https://portal.example"


def portal_keys() -> tuple[ec.EllipticCurvePrivateKey, str]:
    """Return a portal's signing key, and its public half as the text of a JWKS file."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "portal-1", "alg": "ES256"}
    return key, json.dumps({"keys": [jwk]})


def assertion(
    key: ec.EllipticCurvePrivateKey, audience: str, who: str, groups: Iterable[str], changed: Mapping[str, object]
) -> str:
    """Return what a portal's backend signs for one of its people; None as a changed claim leaves it out."""
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": PORTAL_ISSUER,
        "aud": audience,
        "sub": who,
        "name": who.title(),
        "email": "somebody@example.com",
        "groups": list(groups),
        "tenant": "acme",
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid.uuid4()),
        **changed,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm="ES256", headers={"kid": "portal-1"})


@dataclass
class Portal:
    """A portal's backend that vouches for its people by signed assertions."""

    world: World
    bridge: Bridge
    key: ec.EllipticCurvePrivateKey

    def vouch(self, who: str, *groups: str, **changed: object) -> dict[str, str]:
        """Return the header for a call on behalf of *who*."""
        signed = assertion(self.key, self.bridge.settings.public_url, who, groups, changed)
        return {"Authorization": f"Bearer {signed}"}

    def token_for(self, who: str, *groups: str, **changed: object) -> requests.Response:
        return self.world.person().post("/t/acme/access-token", headers=self.vouch(who, *groups, **changed))

    def at(self, stage: str, percent: float = 100) -> None:
        order = list(Stage)
        for step in order[1 : order.index(Stage(stage)) + 1]:
            self.bridge.stages.move("acme", Move(step, "test", "story", percent, force=step is Stage.RETIRED))
        self.world.acme.forget_calls()


def change_tenant(bridge: Bridge, slug: str = "", **fields: object) -> None:
    """Apply other fields to one tenant, or to all."""
    states = [state for state in bridge.tenants.all().values() if slug in {"", state.tenant.slug}]
    declared = [Declared(state.tenant.model_copy(update=fields), state.rollout) for state in states]
    bridge.declared.apply(bridge.declared.plan(declared), actor="test")


class BrokenFlags(NoOpProvider):
    """A company's flag service on a bad day."""

    def resolve_string_details(self, *_: object, **__: object) -> FlagResolutionDetails[str]:
        raise GeneralError("the flag service is away")


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Wait until what a bridge does in the background has ended: the next test counts its own calls alone."""
    before = set(threading.enumerate())
    yield
    wait_for(lambda: not [each for each in set(threading.enumerate()) - before if each.name in {"keeper", "shadow"}])


class _Watched:
    """Knows which requests are being answered: a page may leave before it is."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._answering: set[int] = set()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self._answering.add(id(environ))
        try:
            return self._app(environ, start_response)
        finally:
            self._answering.remove(id(environ))

    def is_done(self) -> bool:
        return not self._answering


@contextmanager
def served(app: "WSGIApplication", port: int, host: str = "127.0.0.1") -> Iterator[None]:
    watched = _Watched(app)
    server = make_server(host, port, watched, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(PATIENCE_S)
        server.server_close()
        wait_for(watched.is_done)


@dataclass
class Demo(World):
    """`qlik-bridge demo`, running as a process of its own."""

    process: subprocess.Popen[bytes] = field(kw_only=True)
    log: Path = field(kw_only=True)
    home: Path = field(kw_only=True)
