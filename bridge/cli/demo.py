"""`qlik-bridge sandbox` and `qlik-bridge demo`: pretend tenants, and the whole flow against them."""

import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
from cryptography.fernet import Fernet

from bridge.bootstrap import Bridge, build
from bridge.cli.tenants import apply_file
from bridge.errors import ConfigError
from bridge.settings import read_settings
from bridge.telemetry import configure_logging

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
POLL_S = 0.05
PORTS = {"bridge": ("DEMO_PORT", 8000), "acme": ("DEMO_ACME_PORT", 9001), "globex": ("DEMO_GLOBEX_PORT", 9002)}
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""All mean: stop. SIGINT is named because a shell's background job starts with it ignored."""
SHOWN_APP = "Retail sales"
EMBED_SCRIPT = "/npm/@qlik/embed-web-components@1/dist/index.min.js"
"""Where the sandbox mirrors what pages load from a CDN: the demo needs no network."""
NAMES = {"acme": "Acme Corporation", "globex": "Globex Corporation"}

Ports = Mapping[str, int]


@click.command()
@click.option("--tls", is_flag=True, help="Serve https with a self-signed certificate.")
@click.option("--acme-port", default=9001, show_default=True)
@click.option("--globex-port", default=9002, show_default=True)
@click.option("--portal-origin", multiple=True, help="Origin that the tenants admit; default http://localhost:8000.")
def sandbox(*, tls: bool, acme_port: int, globex_port: int, portal_origin: tuple[str, ...]) -> None:
    """Run two pretend Qlik Cloud tenants on loopback, until Ctrl-C."""
    from bridge.sandbox import run  # noqa: PLC0415 - no other command needs it

    origins = portal_origin or ("http://localhost:8000",)
    run({"acme": acme_port, "globex": globex_port}, portal_origins=origins, tls=tls)


@click.command()
def demo() -> None:
    """Run two sandbox tenants and the bridge, until Ctrl-C. Ports: DEMO_PORT, DEMO_ACME_PORT, DEMO_GLOBEX_PORT."""
    ports = _ports()
    home = ROOT / "instance" / f"demo-{ports['bridge']}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True, mode=0o700)
    with ExitStack() as running:
        running.enter_context(_stop_on_signals())
        tenants = running.enter_context(_process(_sandbox_command(ports)))
        states = {slug: _wait_for(f"{_origin(ports[slug])}/_sandbox/state", tenants) for slug in NAMES}
        environment = demo_environment(home, ports)
        _write(home / "env", _exports(environment))
        configure_logging("warning")
        own = build(read_settings(environment))
        apply_states(own, home, ports, states)
        own.close()
        bridge = running.enter_context(_process(_bridge_command(ports), environment))
        _wait_for(f"http://127.0.0.1:{ports['bridge']}/healthz", bridge)
        _welcome(ports, home, states["acme"]["front_end"]["why"])
        _wait_until_one_ends(tenants, bridge)


def _ports() -> Ports:
    mistakes, ports = [], {}
    for name, (variable, default) in PORTS.items():
        given = os.environ.get(variable) or str(default)
        ports[name] = int(given) if given.isdecimal() else 0
        if not 0 < ports[name] < 2**16:
            mistakes.append(f"{variable}={given} is not a port")
        elif not _is_free(ports[name]):
            mistakes.append(f"port {given} is taken; set {variable} to another one")
    if mistakes or len(set(ports.values())) < len(ports):
        raise ConfigError(mistakes or ["the demo's three ports must differ"])
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _origin(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _portal(ports: Ports) -> str:
    return f"http://localhost:{ports['bridge']}"


def _sandbox_command(ports: Ports) -> list[str]:
    chosen = [f"--acme-port={ports['acme']}", f"--globex-port={ports['globex']}", f"--portal-origin={_portal(ports)}"]
    return [sys.executable, "-m", "bridge.sandbox", "--exit-with-parent", *chosen]


def _bridge_command(ports: Ports) -> list[str]:
    chosen = ["--config=python:bridge.cli.demo_server", f"--bind=127.0.0.1:{ports['bridge']}", f"--chdir={ROOT}"]
    return [sys.executable, "-m", "gunicorn", *chosen, "app:app"]


def demo_environment(home: Path, ports: Ports) -> dict[str, str]:
    """Return the demo's settings; those of a real installation in this shell stay out of it."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")},
        "BRIDGE_SECRET_KEY": secrets.token_urlsafe(48),
        "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BRIDGE_PUBLIC_URL": _portal(ports),
        "BRIDGE_DATABASE_URL": f"sqlite:///{home / 'bridge.db'}",
        "BRIDGE_KEYS_DIR": str(home / "keys"),
        "BRIDGE_IDENTITY": "demo",
        "BRIDGE_DEMO_PEOPLE": _origin(ports["acme"]),
        "BRIDGE_ADMIN_GROUPS": "demo:bridge-admins",
        "BRIDGE_DEFAULT_TENANT": "acme",
        "BRIDGE_LOG_LEVEL": os.environ.get("BRIDGE_LOG_LEVEL", "warning"),
    }


def _exports(environment: Mapping[str, str]) -> str:
    """Return the demo's settings for a shell that wants to use the command line beside it."""
    ours = sorted(name for name in environment if name.startswith("BRIDGE_"))
    return "".join(f"export {name}={shlex.quote(environment[name])}\n" for name in ours)


def apply_states(bridge: Bridge, home: Path, ports: Ports, states: Mapping[str, Any]) -> None:
    """Register the two tenants the way an operator would: key files, a tenants file, `tenants apply`."""
    (home / "keys").mkdir(mode=0o700)
    blocks = [_tenant_block(home, slug, _origin(ports[slug]), _portal(ports), state) for slug, state in states.items()]
    _write(home / "tenants.toml", "\n".join(blocks))
    apply_file(bridge, home / "tenants.toml", actor="demo")


PARITY = """
[tenants.parity]
subjects_needed = 0

[[tenants.parity.probes]]
name = "sales by product"
app_id = "{app_id}"
dimension = "Product"
measure = "Sum(Sales)"
"""
"""Few people live in the demo, so no stage waits for their parity; a difference that is found counts all the same."""


def _tenant_block(home: Path, slug: str, host: str, portal: str, state: Mapping[str, Any]) -> str:
    provider, clients = state["identity_providers"][0], {each["role"]: each for each in state["clients"]}
    app = next(item for item in state["items"] if item["name"] == SHOWN_APP)
    _write(home / "keys" / f"{slug}.pem", provider["private_key"])
    for role, client in clients.items():
        _write(home / f"{slug}-{role}.secret", client["client_secret"])
    return f"""\
[[tenants]]
slug = "{slug}"
name = "{NAMES[slug]}"
host = "{host}"
allowed_origins = ["{portal}"]
admits = ["demo"]
issuer = "{provider["issuer"]}"
key_id = "{provider["kid"]}"
signing_key = "{slug}.pem"
web_integration_id = "{state["web_integrations"][0]["id"]}"
embed_script = "{host}{EMBED_SCRIPT}"
stage = "legacy"

[tenants.issuing_client]
id = "{clients["issuing"]["client_id"]}"
secret = "file:{slug}-issuing.secret"

[tenants.management_client]
id = "{clients["management"]["client_id"]}"
secret = "file:{slug}-management.secret"

[tenants.content]
app_id = "{app["resource_id"]}"
sheet_id = "overview"
object_id = "sales-by-product"
field_id = "Product"
hypercube_dimension = "Region"
hypercube_measure = "Sum(Sales)"
master_dimension = "Product line"
master_measure = "Total sales"
{PARITY.format(app_id=app["resource_id"])}"""


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    """Make a termination look like Ctrl-C, so that one way out stops everything."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in ENDINGS:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped.")


@contextmanager
def _process(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a child outside our terminal's process group: we stop it, once, in order."""
    with subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True) as child:  # noqa: S603 - our own
        try:
            yield child
        finally:
            for number in ENDINGS:
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave a child behind
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def _wait_for(url: str, child: subprocess.Popen[bytes]) -> Any:  # noqa: ANN401 - whatever the answer holds
    """Return the answer of *url* once it is served."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback address
                text = answer.read().decode()
                return json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    raise ConfigError([f"{url} did not come up; see the lines above"])


def _wait_until_one_ends(*children: subprocess.Popen[bytes]) -> None:
    while all(child.poll() is None for child in children):
        time.sleep(0.5)
    raise ConfigError(["a part of the demo stopped by itself; see the lines above"])


def _welcome(ports: Ports, home: Path, no_charts: str) -> None:
    click.echo(
        f"""
  Portal and bridge  {_portal(ports)}/        sign in as alice, bob, carol, dave or erin (operator)
  Tenant acme        {_origin(ports["acme"])}/    control: /_sandbox/state, /_sandbox/calls
  Tenant globex      {_origin(ports["globex"])}/

  Commands beside it: . {home.relative_to(ROOT)}/env && .venv/bin/qlik-bridge stage show
  A walk through it: docs/tour.md. Ctrl-C stops everything."""
    )
    if no_charts:
        click.echo(f"\n  {no_charts}")
