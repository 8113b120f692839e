"""Which addresses the bridge calls: tenants and webhooks must not lead it into the machines' own network."""

import gc
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from fakes import FakeClock, FakeKeys
from pydantic import SecretStr
from samples import tenant
from scripted import Reply, ScriptedTenant

from bridge.adapters.engine import WebSocketEngine
from bridge.adapters.jwks import Jwks
from bridge.adapters.qlik import HttpQlik
from bridge.adapters.qlik_directory import HttpDirectory
from bridge.adapters.qlik_events import HttpTenantEvents
from bridge.adapters.qlik_setup import HttpTenantSetUp
from bridge.adapters.reach import ANYWHERE, LOOPBACK, Reach
from bridge.adapters.webhook import HttpWebhooks
from bridge.adapters.wire import Wire
from bridge.bootstrap import build
from bridge.bootstrap.guard import beyond_reach, tenant_guard
from bridge.errors import ConfigError, TenantUnavailable
from bridge.model import OAuthClient, Tenant
from bridge.settings import Settings, read_settings
from bridge.webhooks import Webhook

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34", "64:ff9b::808:808"]
PRIVATE = ["127.0.0.1", "127.8.8.8", "::1", "10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd12::1"]
PACKED = [
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::"),
    *("::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1"),
]
NOT_GLOBAL_UNICAST = ["fec0::1", "100::1", "3fff::1", "5f00::1", "4000::1"]
METADATA = [
    *("169.254.169.254", "169.254.170.2", "fe80::1", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"),
    *("168.63.129.16", "::ffff:168.63.129.16", "fd20:ce::254"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "0.0.0.0", "::", "224.0.0.1", "ff02::1"),  # noqa: S104 - refused
]
OURSELVES = ip_network("127.0.0.0/8")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address: str) -> None:
    assert Reach().allows(ip_address(address))


@pytest.mark.parametrize("address", [*PRIVATE, *PACKED, *NOT_GLOBAL_UNICAST, *METADATA])
def test_others_are_not(address: str) -> None:
    assert not Reach().allows(ip_address(address))


def test_a_network_that_the_settings_name_is_called_and_no_other() -> None:
    reach = Reach((ip_network("10.0.0.0/8"),))

    assert reach.allows(ip_address("10.1.2.3"))
    assert reach.allows(ip_address("::ffff:10.1.2.3"))
    assert not reach.allows(ip_address("192.168.1.1"))
    assert not reach.allows(ip_address("127.0.0.1"))


@pytest.mark.parametrize("address", METADATA)
def test_where_a_machine_gives_itself_away_is_never_called(address: str) -> None:
    assert not ANYWHERE.allows(ip_address(address))
    assert not Reach((ip_network("169.254.0.0/16"), ip_network("fe80::/10"))).allows(ip_address(address))


# --- over real sockets -----------------------------------------------------------------------------------

WEBHOOK = SecretStr("hush" * 5)
CALLS: dict[str, Callable[[FakeClock, Tenant, Reach], object]] = {
    "login": lambda clock, here, reach: HttpQlik(FakeKeys(), clock, reach=reach).log_in(here, lambda: "jwt"),
    "mint": lambda clock, here, reach: HttpQlik(FakeKeys(), clock, reach=reach).mint(here, "user"),
    "whoami": lambda clock, here, reach: HttpQlik(FakeKeys(), clock, reach=reach).whoami(here, "token"),
    "management": lambda clock, here, reach: HttpQlik(FakeKeys(), clock, reach=reach).auto_creates_groups(here),
    "set-up": lambda clock, here, reach: HttpTenantSetUp(FakeKeys(), clock, reach=reach).greet(here),
    "events": lambda clock, here, reach: HttpTenantEvents(FakeKeys(), clock, reach=reach).provider_ids(here),
    "directory": lambda clock, here, reach: HttpDirectory(FakeKeys(), clock, reach=reach).group_kind(here, "x"),
    "engine": lambda clock, here, reach: WebSocketEngine(clock, reach=reach).sheets(here, "token", "app"),
    "webhook": lambda _, here, reach: HttpWebhooks(reach=reach).post(Webhook(url=here.host, secret=WEBHOOK), b"", {}),
}


def somewhere(host: str) -> Tenant:
    manages = OAuthClient(id="management", secret=SecretStr("management-s3cret"))
    return tenant(host=host).model_copy(update={"management_client": manages})


@pytest.fixture
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A port on loopback that takes connections, and reads nothing by itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server, f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_even_connected(call: str, listening: tuple[socket.socket, str], clock: FakeClock) -> None:
    server, host = listening
    with pytest.raises(TenantUnavailable, match="not public") as caught:
        CALLS[call](clock, somewhere(host), Reach())

    assert "127.0.0.1" not in caught.value.message
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.accept()


@pytest.mark.parametrize("call", ["mint", "engine", "webhook"])
def test_a_name_that_leads_elsewhere_when_it_is_called_gets_nothing(
    call: str, listening: tuple[socket.socket, str], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a public address for whoever looks first, ours for whoever connects."""
    server, host = listening
    real, asked = socket.getaddrinfo, []

    def rebinding(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as socket has it
        asked.append(args)
        public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))]
        return public if len(asked) == 1 else real(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(TenantUnavailable, match="not public"):
        CALLS[call](clock, tenant(host=host.replace("127.0.0.1", "localhost")), Reach())

    assert len(asked) == 2
    with server.accept()[0] as connection:
        connection.settimeout(5)
        assert connection.recv(100) == b""


def test_a_name_with_one_bad_address_is_refused(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(TenantUnavailable, match="not public"):
        CALLS["mint"](clock, tenant(host="https://acme.example.com"), Reach())


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
def test_another_spelling_of_an_address_leads_no_further(
    spelling: str, listening: tuple[socket.socket, str], clock: FakeClock
) -> None:
    with pytest.raises(TenantUnavailable, match="not public"):
        CALLS["mint"](clock, tenant(host=listening[1].replace("127.0.0.1", spelling).replace("http", "https")), Reach())


def test_within_reach_it_works_as_ever(scripted: ScriptedTenant) -> None:
    scripted.answers["/x"] = Reply(document={})

    for reach in (ANYWHERE, Reach(LOOPBACK), Reach((OURSELVES,))):
        assert Wire(reach=reach).send("GET", f"{scripted.host}/x").status == 200


def test_no_redirect_leads_out_of_reach(scripted: ScriptedTenant) -> None:
    scripted.answers["/x"] = Reply(302, headers=(("Location", f"{scripted.host}/secret"),))

    assert Wire(reach=ANYWHERE).send("GET", f"{scripted.host}/x").status == 302
    assert scripted.paths() == ["/x"]


def test_keys_may_be_internal_but_never_metadata(scripted: ScriptedTenant, clock: FakeClock) -> None:
    scripted.answers["/jwks"] = Reply(document={"keys": [{"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"}]})

    assert Jwks(f"{scripted.host}/jwks", clock).find("k") is not None
    with pytest.raises(TenantUnavailable, match="not public"):
        Wire().send("GET", "http://169.254.169.254/latest/meta-data/")


# --- wired -----------------------------------------------------------------------------------------------


def settings(**given: str) -> Settings:
    required = {"BRIDGE_SECRET_KEY": "s" * 40, "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    return read_settings({"BRIDGE_PUBLIC_URL": "https://bridge.example.com", **required, **given})


def test_whatever_calls_tenants_keeps_within_reach(tmp_path: Path) -> None:
    """Whoever has patience calls somebody."""
    before = gc.get_objects()  # kept, so that no new object takes the place of one of these
    known = set(map(id, before))
    bridge = build(settings(BRIDGE_DATABASE_URL=f"sqlite:///{tmp_path / 'bridge.db'}"))
    fresh = [each for each in gc.get_objects() if id(each) not in known and type(each).__module__ != "builtins"]
    callers = [each for each in fresh if "_patience" in getattr(each, "__dict__", {})]
    bridge.close()

    assert {type(each).__name__ for each in callers} == {"_Bounded", "ManagementClient", "WebSocketEngine"}
    assert {each._reach for each in callers} == {Reach()}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.0.0.1", "[fd12::1]", "169.254.169.254", "[::ffff:10.0.0.1]"]
)
def test_an_address_out_of_reach_cannot_be_declared(host: str) -> None:
    hook = {"url": f"https://{host}/hook", "secret": "s" * 16}
    for here, field in ((tenant(host=f"https://{host}"), "host"), (tenant(notify=hook), r"notify\.url")):
        with pytest.raises(ConfigError, match=f"{field} must be a public address"):
            tenant_guard(settings())(here)


def test_what_the_settings_name_can_be_declared() -> None:
    inside = settings(BRIDGE_PRIVATE_NETWORKS="10.0.0.0/8, fd12::/16")

    tenant_guard(inside)(tenant(host="https://10.0.0.1", notify={"url": "https://[fd12::1]/", "secret": "s" * 16}))
    tenant_guard(settings())(tenant(host="https://acme.eu.qlikcloud.com"))
    tenant_guard(settings(BRIDGE_PUBLIC_URL="http://localhost:8000"))(tenant(host="http://127.0.0.1:9001"))


def test_names_that_lead_inside_are_told_before_anybody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"acme.example.com": "10.0.0.7", "hooks.example.com": "10.0.0.8", "all.example.com": "93.184.216.34"}

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        if host not in places:
            raise OSError(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (places[host], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    hook = {"url": "https://hooks.example.com/x", "secret": "s" * 16}
    inside = tenant(host="https://acme.example.com", notify=hook)
    nowhere = tenant("globex", host="https://gone.example.com")
    everywhere = {"BRIDGE_NOTIFY_URL": "https://all.example.com/x", "BRIDGE_NOTIFY_SECRET": "s" * 16}

    told = [each.partition(" is not")[0] for each in beyond_reach(settings(**everywhere), [inside, nowhere])]
    assert told == ["tenant acme: host", "tenant acme: notify.url"]
    assert list(beyond_reach(settings(**everywhere, BRIDGE_PRIVATE_NETWORKS="10.0.0.0/8"), [inside, nowhere])) == []
    places["all.example.com"] = "192.168.1.1"
    assert [each[:17] for each in beyond_reach(settings(**everywhere), [])] == ["BRIDGE_NOTIFY_URL"]
