"""The example for nginx, run by a real nginx in front of the real server."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from serverkit import Installation, Server, tool
from storykit import ROOT, free_ports, listens, wait_until

from bridge.adapters.keyfiles import KeyFiles

EXAMPLE = (ROOT / "deploy" / "nginx.conf").read_text()
AROUND = """\
daemon off; pid {home}/nginx.pid; error_log {home}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;
    uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    include {home}/bridge.conf;
}}
"""


@dataclass
class Proxy:
    """What stands before the bridge; its certificate is self-signed."""

    base: str
    plain: str
    bridge: Installation
    server: Server

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on
        url = self.base + path
        return requests.request(method, url, verify=False, timeout=20, allow_redirects=False, **options)  # noqa: S501


class From(HTTPAdapter):
    """Asks from an address of this machine."""

    def __init__(self, source: str) -> None:
        self._source = source
        super().__init__()

    def init_poolmanager(self, *given: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().init_poolmanager(*given, **options, source_address=(self._source, 0))


@pytest.fixture(scope="module", params=["assertion", "assertion,header"])
def proxy(
    install: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Proxy]:
    """Before each kind of worker: who is known by headers is served by gunicorn's own."""
    nginx, home = tool("nginx", "nginx-light"), tmp_path_factory.mktemp("nginx")
    bridge = install()
    bridge.environment["BRIDGE_IDENTITY"] = request.param
    bridge.environment["BRIDGE_TRUSTED_PROXIES"] = "127.0.0.1"
    bridge.environment["BRIDGE_ADDRESS_REFUSALS_PER_MINUTE"] = "5"
    bridge.environment["WEB_CONCURRENCY"] = "1"  # each worker counts refusals for itself
    server = bridge.start()
    plain, tls = free_ports(2)
    _write(home, urlsplit(server.base).netloc, plain, tls)
    command = [nginx, "-c", f"{home}/nginx.conf", "-p", str(home), "-e", f"{home}/error.log"]
    subprocess.run([*command, "-t"], check=True, timeout=20, capture_output=True)
    process = subprocess.Popen(command)
    try:
        wait_until(listens(tls), process, "nginx")
        yield Proxy(f"https://127.0.0.1:{tls}", f"http://127.0.0.1:{plain}", bridge, server)
    finally:
        process.terminate()
        process.wait(20)


def _write(home: Path, upstream: str, plain: int, tls: int) -> None:
    """Write the example with the addresses of here, and nothing else changed."""
    pair = KeyFiles(home).create("tls", bits=2048)
    here = {
        "127.0.0.1:8080": upstream,
        "/etc/nginx/tls/bridge.example.com.crt": str(pair.certificate_path),
        "/etc/nginx/tls/bridge.example.com.key": str(pair.key_path),
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{tls} ssl http2;",
    }
    text = re.sub(r" *listen \[::\].*\n", "", EXAMPLE)
    for there, mine in here.items():
        assert there in text, there
        text = text.replace(there, mine)
    (home / "bridge.conf").write_text(text)
    (home / "nginx.conf").write_text(AROUND.format(home=home))


pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


def test_a_token_comes_through_and_the_log_knows_the_proxys_request_id(proxy: Proxy) -> None:
    answer = proxy.ask("POST", "/t/acme/access-token", headers=proxy.bridge.vouch("ada"))

    assert answer.ok, answer.text
    assert [
        line["status"] for line in proxy.server.lines("request") if line["request_id"] == answer.headers["X-Request-Id"]
    ] == [200]


def test_an_assertion_with_hundreds_of_groups_comes_through(proxy: Proxy) -> None:
    headers = proxy.bridge.vouch("grace", *(f"a group with a long name, number {number}" for number in range(250)))
    assert len(headers["Authorization"]) > 12_000

    answer = proxy.ask("GET", "/t/acme/session", headers=headers)

    assert answer.ok, answer.text


def test_nobody_outside_says_who_they_are(proxy: Proxy) -> None:
    """The bridge trusts this proxy; so the proxy must not pass on what it was told."""
    said = {
        "X-Forwarded-User": "erin",
        "X-Forwarded-Name": "Erin",
        "X-Forwarded-Email": "e@example.com",
        "X-Forwarded-Groups": "[]",
    }

    through, beside = (
        proxy.ask("GET", "/t/acme/session", headers=said),
        requests.get(f"{proxy.server.base}/t/acme/session", headers=said, timeout=10),
    )

    assert through.status_code == 401
    by_header = "header" in proxy.bridge.environment["BRIDGE_IDENTITY"]
    assert beside.status_code == (403 if by_header else 401), "who is on the machine itself is believed, not admitted"


def test_who_guesses_is_counted_by_the_address_that_the_proxy_sees(proxy: Proxy) -> None:
    """What a client says of its own address is replaced, so it cannot guess on as somebody else."""

    def guess(source: str, said: int) -> int:
        with requests.Session() as session:
            session.mount("https://", From(source))
            headers = {"Authorization": "Bearer eyJ.no.assertion", "X-Forwarded-For": f"203.0.113.{said}"}
            return session.get(f"{proxy.base}/t/acme/session", headers=headers, verify=False, timeout=20).status_code

    assert [guess("127.0.0.2", said) for said in range(6)] == [401] * 5 + [429]
    assert guess("127.0.0.3", 6) == 401, "others are not shut out with it"


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/metrics/", "//metrics", "/%6detrics", "/t/../metrics"])
def test_what_is_for_operations_stays_inside(proxy: Proxy, path: str) -> None:
    assert proxy.ask("GET", path).status_code == 404
    assert requests.get(f"{proxy.server.base}/metrics", timeout=10).ok


def test_large_bodies_end_at_the_proxy_and_plain_http_is_sent_on(proxy: Proxy) -> None:
    large = proxy.ask("POST", "/t/acme/client-events", data=b"x" * 70_000)
    sent_on = requests.get(f"{proxy.plain}/t/acme/session?a=b", timeout=10, allow_redirects=False)

    assert large.status_code == 413
    assert (sent_on.status_code, sent_on.headers["Location"]) == (308, "https://bridge.example.com/t/acme/session?a=b")
