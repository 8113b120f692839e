"""The engine's websockets over real sockets: who gets in, how it ends, and what the controls show."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import requests
from clients.harness import Tenant
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from sandbox.test_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

PATIENCE_S = 30
PORTAL = "http://localhost:8000"
IMPERSONATION = "urn:qlik:oauth:user-impersonation"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class Room(Tenant):
    """A tenant and the ways into its apps."""

    def app(self, name: str = "Retail sales") -> str:
        return str(self.one("apps", name=name)["id"])

    def token(self, name: str) -> str:
        """Sign somebody in and return their impersonation token."""
        self.sign_in(name)
        lookup = {"field": "subject", "value": name}
        return self._token(grant_type=IMPERSONATION, user_lookup=lookup, client_secret=self._secret())

    def exchanged(self, token: str, purpose: str) -> str:
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return self._token(grant_type=EXCHANGE, subject_token=token, subject_token_type=kind, purpose=purpose)

    def _secret(self) -> str:
        return self.client("issuing")["clientSecret"]

    def _token(self, **fields: object) -> str:
        named = {"client_id": self.client("issuing")["clientId"], **fields}
        answer = requests.post(f"{self.url}/oauth/token", json=named, headers={"Origin": PORTAL}, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def cookies(self, name: str) -> dict[str, str]:
        login = {"Authorization": f"Bearer {self.login_jwt(self.one('people', name=name))}"}
        answer = requests.post(f"{self.url}/login/jwt-session", headers=login, timeout=PATIENCE_S)
        return dict(answer.cookies)

    def open(self, path: str = "", query: dict[str, str] | None = None, **headers: str) -> ClientConnection:
        """Open a websocket to the retail app, or to the path given."""
        address = self.url.replace("http", "ws", 1) + (path or f"/app/{self.app()}")
        if query:
            address += f"?{urlencode(query)}"
        origin = headers.pop("Origin", None)
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return connect(
            address,
            origin=origin,  # type: ignore[arg-type]  # a NewType of str
            additional_headers=more,
            open_timeout=PATIENCE_S,
            ping_interval=None,
            proxy=None,
        )

    def enter(self, token: str, path: str = "") -> ClientConnection:
        return self.open(path, Authorization=f"Bearer {token}")

    def wait_for(self, condition: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Wait until the list of open sockets is as wanted."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(self.all("sockets")):
            assert time.monotonic() < deadline, self.all("sockets")


def hear(websocket: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(websocket.recv(PATIENCE_S)))


def state_of(websocket: ClientConnection) -> str:
    return str(hear(websocket)["params"]["qSessionState"])


def call(websocket: ClientConnection, method: str, *params: object, handle: int = -1) -> dict[str, Any]:
    asked = {"jsonrpc": "2.0", "id": 1, "handle": handle, "method": method, "params": params}
    websocket.send(json.dumps(asked))
    while (answer := hear(websocket)).get("id") != 1:
        pass
    return answer


def products(websocket: ClientConnection, app: str) -> list[str]:
    doc = call(websocket, "OpenDoc", app)["result"]["qReturn"]["qHandle"]
    chart = call(websocket, "GetObject", "sales-by-product", handle=doc)["result"]["qReturn"]["qHandle"]
    layout = call(websocket, "GetLayout", handle=chart)["result"]["qLayout"]
    return [row[0]["qText"] for row in layout["qHyperCube"]["qDataPages"][0]["qMatrix"]]


def end_of(websocket: ClientConnection) -> int:
    """Read a websocket to its end and return the code that it was closed with."""
    try:
        while True:
            websocket.recv(PATIENCE_S)
    except ConnectionClosed as ending:
        return ending.rcvd.code if ending.rcvd else 1006


def outcome_of(websocket: ClientConnection) -> int:
    """Do the same with one that nobody entered yet."""
    with websocket:
        return end_of(websocket)


def refusal_of(opening: Callable[[], ClientConnection]) -> int:
    with pytest.raises(InvalidStatus) as refused:
        outcome_of(opening())
    return refused.value.response.status_code


@pytest.fixture(scope="module")
def origins() -> Iterator[tuple[str, str]]:
    with serving() as (_process, acme, globex):
        yield acme, globex


@pytest.fixture
def acme(origins: tuple[str, str]) -> Room:
    room = Room(origins[0])
    room.reset()
    return room


@pytest.fixture
def globex(origins: tuple[str, str]) -> Room:
    room = Room(origins[1])
    room.reset()
    return room


# three ways in


def test_a_bearer_token_opens_the_engine(acme: Room) -> None:
    with acme.enter(acme.token("alice")) as websocket:
        assert state_of(websocket) == "SESSION_CREATED"
        assert len(products(websocket, acme.app())) == 5
        (shown,) = acme.all("sockets")
        assert (shown["app"], shown["user"], shown["how"]) == (acme.app(), "alice", "bearer")


def test_an_exchanged_token_in_the_address_opens_it_more_than_once(acme: Room) -> None:
    exchanged = acme.exchanged(acme.token("bob"), "websocket")
    for _ in range(2):
        with acme.open(query={"reloadUri": "x", "accessToken": exchanged}) as websocket:
            hear(websocket)
            assert len(products(websocket, acme.app())) == 4
            assert acme.all("sockets")[0]["how"] == "accessToken"


def cookie_headers(acme: Room, name: str) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{key}={value}" for key, value in acme.cookies(name).items())}


def csrf_of(acme: Room) -> str:
    return str(acme.all("sessions")[-1]["csrf_token"])


def test_a_cookie_opens_it_with_its_csrf_token_and_a_listed_origin(acme: Room) -> None:
    headers = {**cookie_headers(acme, "carol"), "Origin": PORTAL}
    integration = acme.all("web_integrations")[0]["id"]
    query = {"qlik-csrf-token": f"{csrf_of(acme)} ", "qlik-web-integration-id": f"{integration}  "}
    with acme.open(query=query, **headers) as websocket:
        hear(websocket)
        assert len(products(websocket, acme.app())) == 2
        assert acme.all("sockets")[0]["how"] == "cookie"


def test_a_program_sends_the_same_two_as_headers(acme: Room) -> None:
    cookies = cookie_headers(acme, "carol")
    with acme.open("", None, qlik_csrf_token=csrf_of(acme), **cookies) as websocket:
        assert state_of(websocket) == "SESSION_CREATED"


@pytest.mark.parametrize(
    ("left_out", "status"),
    [("Cookie", 401), ("qlik-web-integration-id", 401), ("qlik-csrf-token", 403), ("Origin", 401), ("session", 401)],
)
def test_a_cookie_alone_opens_nothing(acme: Room, left_out: str, status: int) -> None:
    headers = {**cookie_headers(acme, "alice"), "Origin": PORTAL}
    query = {"qlik-csrf-token": csrf_of(acme), "qlik-web-integration-id": acme.all("web_integrations")[0]["id"]}
    headers["Origin"] = "https://evil.example" if left_out == "Origin" else PORTAL
    if left_out == "session":
        acme.control("POST", "clock", {"offset_s": 7200})
    elif left_out != "Origin":
        headers.pop(left_out, None)
        query.pop(left_out, None)
    assert refusal_of(lambda: acme.open(query=query, **headers)) == status


def test_other_tokens_are_refused_before_the_upgrade(acme: Room, globex: Room) -> None:
    token = acme.token("alice")
    foreign, web, exchanged = (
        globex.token("alice"),
        acme.exchanged(token, "webresource"),
        acme.exchanged(token, "websocket"),
    )
    assert refusal_of(acme.open) == 401
    assert refusal_of(lambda: acme.enter("nonsense")) == 401
    assert refusal_of(lambda: acme.enter(foreign)) == 401
    assert refusal_of(lambda: acme.enter(exchanged)) == 401
    for given in (token, "nonsense", ""):
        assert refusal_of(lambda: acme.open(query={"accessToken": given})) == 401  # noqa: B023 - called at once
    with acme.open(query={"accessToken": web}):
        pass
    acme.switch(webresource_opens_engine="no")
    assert refusal_of(lambda: acme.open(query={"accessToken": web})) == 401
    acme.control("POST", "clock", {"offset_s": 61})
    assert refusal_of(lambda: acme.open(query={"accessToken": exchanged})) == 401


def test_who_was_disabled_does_not_get_in_again(acme: Room) -> None:
    token = acme.token("alice")
    exchanged = acme.exchanged(token, "websocket")
    with acme.enter(token) as websocket:
        hear(websocket)
        acme.control("PATCH", "people/alice", {"disabled": True})
        assert refusal_of(lambda: acme.enter(token)) == 401
        assert refusal_of(lambda: acme.open(query={"accessToken": exchanged})) == 401
        assert len(products(websocket, acme.app())) == 5


# close codes


def test_unknown_apps_and_closed_ones_have_their_codes(acme: Room) -> None:
    carol = acme.token("carol")
    assert outcome_of(acme.enter(carol, "/app/nowhere")) == 4204
    for name in ("Ledger", "Pipeline"):
        assert outcome_of(acme.enter(carol, f"/app/{acme.app(name)}")) == 4203
    assert acme.all("sockets") == []
    assert acme.calls()[-1] == f"GET /app/{acme.app('Pipeline')} 101"


def test_a_refusal_reaches_clients_that_talk_at_once(acme: Room) -> None:
    """Their messages must not make us hang up before they have read the code: they would see 1006."""
    carol, refused = acme.token("carol"), f"/app/{acme.app('Ledger')}"

    def code(_attempt: int) -> int:
        with acme.enter(carol, refused) as websocket:
            with suppress(ConnectionClosed):
                for _ in range(3):
                    websocket.send('{"jsonrpc":"2.0","id":1,"handle":-1,"method":"EngineVersion","params":[]}')
            return end_of(websocket)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(code, range(120))) == {4203}


def test_each_group_opens_its_own_app(acme: Room) -> None:
    for name, opens, refused in (("alice", "Ledger", "Pipeline"), ("bob", "Pipeline", "Ledger")):
        token = acme.token(name)
        with acme.enter(token, f"/app/{acme.app(opens)}") as websocket:
            assert state_of(websocket) == "SESSION_CREATED"
        assert outcome_of(acme.enter(token, f"/app/{acme.app(refused)}")) == 4203


def test_an_administrator_is_not_let_into_a_space_by_being_one(acme: Room) -> None:
    erin = acme.token("erin")
    role = acme.one("clients", role="management")
    fields = {
        "grant_type": "client_credentials",
        "client_id": role["client_id"],
        "client_secret": role["client_secret"],
    }
    bot = requests.post(f"{acme.url}/oauth/token", json=fields, timeout=PATIENCE_S).json()["access_token"]
    admin = {"Authorization": f"Bearer {bot}"}
    roles = requests.get(f"{acme.url}/api/v1/roles", headers=admin, timeout=PATIENCE_S).json()["data"]
    wanted = [{"id": next(role["id"] for role in roles if role["name"] == "TenantAdmin")}]
    change = [{"op": "replace", "path": "/assignedRoles", "value": wanted}]
    user = acme.one("users", subject="erin")["id"]
    answer = requests.patch(f"{acme.url}/api/v1/users/{user}", json=change, headers=admin, timeout=PATIENCE_S)
    assert answer.ok, answer.text
    assert outcome_of(acme.enter(erin, f"/app/{acme.app('Ledger')}")) == 4203


@pytest.mark.parametrize("code", [4001, 4003, 4205, 1011])
def test_open_websockets_are_closed_with_any_code(acme: Room, code: int) -> None:
    with acme.enter(acme.token("alice")) as alice, acme.enter(acme.token("bob")) as bob:
        hear(alice)
        hear(bob)
        assert acme.control("POST", "sockets/close", {"code": code, "user": "alice"}) == {"closed": 1}
        assert end_of(alice) == code
        acme.wait_for(lambda shown: [each["user"] for each in shown] == ["bob"])
        assert acme.control("POST", "sockets/close", {"code": code}) == {"closed": 1}
        assert end_of(bob) == code


@pytest.mark.parametrize("body", [{"code": 5}, {"code": 1006}, {"code": 5000}, {"code": "x"}, {"why": 1}])
def test_a_code_that_cannot_be_sent_is_400(acme: Room, body: dict[str, object]) -> None:
    answer = requests.post(f"{acme.url}/_sandbox/sockets/close", json=body, timeout=PATIENCE_S)
    assert answer.status_code == 400


def test_a_reset_closes_websockets_and_ends_sessions(acme: Room) -> None:
    with acme.enter(acme.token("alice"), f"/app/{acme.app()}/ttl/1000") as websocket:
        hear(websocket)
        acme.reset()
        assert end_of(websocket) == 1001
    with acme.enter(acme.token("alice")) as websocket:
        assert state_of(websocket) == "SESSION_CREATED"


# faults, limits and the call log


def test_faults_reach_websockets(acme: Room) -> None:
    token, path = acme.token("alice"), f"/app/{acme.app()}"
    for status in (401, 403, 429, 503):
        acme.fault("/app/*", status=status)
        assert refusal_of(lambda: acme.enter(token)) == status
    acme.fault(path, close=4205)
    assert outcome_of(acme.enter(token)) == 4205
    acme.fault(path, drop="after")
    assert outcome_of(acme.enter(token)) == 1006
    acme.fault(path, drop="before")
    with pytest.raises((EOFError, OSError, InvalidMessage)):
        outcome_of(acme.enter(token))
    assert [call.rsplit(" ", 1)[1] for call in acme.calls() if call.startswith("GET /app/")] == [
        "401",
        "403",
        "429",
        "503",
        "101",
        "101",
        "None",
    ]
    with acme.enter(token) as websocket:
        assert state_of(websocket) == "SESSION_CREATED"


def test_a_websocket_spends_a_call_and_is_logged_with_its_user(acme: Room) -> None:
    token = acme.token("alice")
    acme.switch(tier1_per_minute=2, tier_window_s=60, tenant_rate_limit="off")
    for _ in range(2):
        with acme.enter(token):
            pass
    assert refusal_of(lambda: acme.enter(token)) == 429
    logged = [call for call in acme.calls_in_full() if call["path"].startswith("/app/")]
    assert [(call["status"], call["user"]) for call in logged] == [(101, "alice"), (101, "alice"), (429, "alice")]
    assert logged[0]["client"] == acme.client("issuing")["clientId"]


def test_who_opens_an_app_takes_a_licence(acme: Room) -> None:
    token = acme.token("alice")
    with acme.enter(token) as websocket:
        assert state_of(websocket) == "SESSION_CREATED"
        overview = requests.get(
            f"{acme.url}/api/v1/licenses/overview", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S
        ).json()
    assert {each["name"]: each["unitsUsed"] for each in overview["allotments"]} == {"professional": 0, "analyzer": 1}


# sessions


def test_websockets_of_a_person_share_a_session_until_the_last_is_closed(acme: Room) -> None:
    token, app = acme.token("alice"), acme.app()
    chosen = [{"qText": "Espresso"}]
    with acme.enter(token) as one, acme.enter(token) as other, acme.enter(token, f"/app/{app}/identity/mine") as own:
        assert [state_of(each) for each in (one, other, own)] == [
            "SESSION_CREATED",
            "SESSION_ATTACHED",
            "SESSION_CREATED",
        ]
        assert len(products(one, app)) == len(products(other, app)) == len(products(own, app)) == 5
        doc = call(one, "OpenDoc", app)["result"]["qReturn"]["qHandle"]
        field = call(one, "GetField", "Product", handle=doc)["result"]["qReturn"]["qHandle"]
        call(one, "SelectValues", chosen, False, handle=field)
        assert hear(other)["change"]
        assert products(other, app) == ["Espresso"]
        assert len(products(own, app)) == 5
    acme.wait_for(lambda shown: not shown)
    with acme.enter(token) as again:
        assert state_of(again) == "SESSION_CREATED"
        assert len(products(again, app)) == 5


def test_sessions_are_parted_by_person_and_by_switch(acme: Room) -> None:
    alice, bob = acme.token("alice"), acme.token("bob")
    with acme.enter(alice) as one, acme.enter(bob) as two:
        assert [state_of(one), state_of(two)] == ["SESSION_CREATED", "SESSION_CREATED"]
        acme.switch(default_session="own")
        with acme.enter(alice) as three:
            assert state_of(three) == "SESSION_CREATED"


def test_a_time_to_live_keeps_a_session_for_a_while(acme: Room) -> None:
    token, path = acme.token("alice"), f"/app/{acme.app()}/ttl/100"
    for state, offset in (("SESSION_CREATED", 0), ("SESSION_ATTACHED", 99), ("SESSION_CREATED", 300)):
        acme.control("POST", "clock", {"offset_s": offset})
        with acme.enter(token, path) as websocket:
            assert state_of(websocket) == state
        acme.wait_for(lambda shown: not shown)


@pytest.mark.parametrize(("code", "state"), [(4001, "SESSION_ATTACHED"), (4003, "SESSION_CREATED")])
def test_a_session_outlives_its_socket_but_not_its_engine(acme: Room, code: int, state: str) -> None:
    token, path = acme.token("alice"), f"/app/{acme.app()}/ttl/100"
    with acme.enter(token, path) as websocket:
        hear(websocket)
        acme.control("POST", "sockets/close", {"code": code})
        assert end_of(websocket) == code
    acme.wait_for(lambda shown: not shown)
    with acme.enter(token, path) as websocket:
        assert state_of(websocket) == state


def test_groups_count_from_the_next_session_on(acme: Room) -> None:
    token, app = acme.token("alice"), acme.app()
    with acme.enter(token) as before:
        hear(before)
        assert len(products(before, app)) == 5
        acme.control("PATCH", "people/alice", {"groups": ["AMER"]})
        acme.sign_in("alice")
        assert len(products(before, app)) == 5
        with acme.enter(token, f"/app/{app}/identity/new") as after:
            hear(after)
            assert len(products(after, app)) == 4


@pytest.mark.parametrize(("mode", "count"), [(0, 5), (1, 4), (2, 7)])
def test_section_access_looks_at_the_kind_of_group_that_the_mode_names(acme: Room, mode: int, count: int) -> None:
    token = acme.token("alice")
    role = acme.one("clients", role="management")
    fields = {
        "grant_type": "client_credentials",
        "client_id": role["client_id"],
        "client_secret": role["client_secret"],
    }
    bot = requests.post(f"{acme.url}/oauth/token", json=fields, timeout=PATIENCE_S).json()["access_token"]
    admin = {"Authorization": f"Bearer {bot}"}
    custom = {"name": "AMER", "providerType": "custom"}
    requests.post(f"{acme.url}/api/v1/groups", json=custom, headers=admin, timeout=PATIENCE_S)
    user = acme.one("users", subject="alice")["id"]
    join = [{"op": "replace", "path": "/assignedGroups", "value": [custom]}]
    assert requests.patch(f"{acme.url}/api/v1/users/{user}", json=join, headers=admin, timeout=PATIENCE_S).ok
    acme.switch(group_mode=mode)
    with acme.enter(token) as websocket:
        hear(websocket)
        assert len(products(websocket, acme.app())) == count


# the connection


def test_tenants_do_not_know_each_others_apps(acme: Room, globex: Room) -> None:
    token = globex.token("erin")
    assert outcome_of(globex.enter(token, f"/app/{acme.app()}")) == 4204
    with globex.enter(token) as websocket:
        hear(websocket)
        assert "Helmet" in products(websocket, globex.app())


def test_the_worker_survives_what_is_no_protocol(acme: Room) -> None:
    token = acme.token("alice")
    with acme.enter(token) as websocket:
        hear(websocket)
        websocket.send("no json")
        assert hear(websocket)["error"]["code"] == -32700
        websocket.send(b"\x00\xff")
        assert hear(websocket)["error"]["code"] == -32700
        websocket.send(["[" * 5_000, "[" * 5_000])
        assert hear(websocket)["error"]["code"] == -32700
        assert len(products(websocket, acme.app())) == 5
    with acme.enter(token) as websocket:
        websocket.send("x" * 2_000_000)
        assert end_of(websocket) == 1009
    acme.wait_for(lambda shown: not shown)
    with acme.enter(token) as websocket:
        assert state_of(websocket) == "SESSION_CREATED"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upgrade": "websocket", "Connection": "Upgrade"}, 426),
        ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}, 400),
        ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "8"}, 426),
        ({"Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}, 400),
        ({"Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "A" * 22 + "=="}, 400),
    ],
)
def test_half_a_handshake_is_refused_in_http(acme: Room, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(acme.url).netloc, timeout=PATIENCE_S)
    token = acme.token("alice")
    with closing(connection):
        connection.request("GET", f"/app/{acme.app()}", headers={"Authorization": f"Bearer {token}", **headers})
        assert connection.getresponse().status == status


def test_many_open_websockets_leave_room_for_calls(acme: Room) -> None:
    token, app = acme.token("alice"), acme.app()
    with ExitStack() as stack:
        paths = [f"/app/{app}/identity/{number}" for number in range(60)]
        opened = [stack.enter_context(acme.enter(token, path)) for path in paths]
        acme.wait_for(lambda shown: len(shown) == len(opened))
        assert {len(products(each, app)) for each in opened} == {5}
    acme.wait_for(lambda shown: not shown)


def test_an_identity_may_be_any_text(acme: Room) -> None:
    token = acme.token("alice")
    with acme.enter(token, f"/app/{acme.app()}/identity/{quote('Zoë 東京', safe='')}"):
        acme.wait_for(lambda shown: [each["identity"] for each in shown] == ["Zoë 東京"])


def test_the_state_lists_apps_with_their_rows(acme: Room) -> None:
    apps = {app["name"]: app for app in acme.all("apps")}
    assert {name: app["space"] for name, app in apps.items()} == {
        "Retail sales": "Everybody",
        "Ledger": "Finance",
        "Pipeline": "Sales",
    }
    retail = apps["Retail sales"]
    mine = [row for row in retail["rows"] if row["Region"] in ("EMEA", "Online")]
    token = acme.token("alice")
    with acme.enter(token) as websocket:
        hear(websocket)
        assert sorted(products(websocket, retail["id"])) == sorted({row["Product"] for row in mine})
    assert {"group": "EMEA", "field": "Region", "value": "EMEA"} in retail["section_access"]
    assert {"id": "draft-chart", "type": "barchart", "title": "Sales by city", "owner": "erin"} in retail["objects"]
    assert next(item for item in acme.all("items") if item["name"] == "Ledger")["resource_id"] == apps["Ledger"]["id"]


def test_app_ids_and_rows_survive_a_reset(acme: Room) -> None:
    before = acme.all("apps")
    acme.reset()
    assert acme.all("apps") == before


def test_it_works_over_tls_with_messages_larger_than_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving("--tls") as (_process, url, _other):
        certificate = tmp_path / "cert.pem"
        certificate.write_text(ssl.get_server_certificate(("127.0.0.1", int(url.rsplit(":", 1)[1]))))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        room = Room(url)
        with room.enter(room.token("alice")) as websocket:
            hear(websocket)
            doc = call(websocket, "OpenDoc", room.app())["result"]["qReturn"]["qHandle"]
            note = {"qInfo": {"qType": "note"}, "text": "x" * 100_000}
            made = call(websocket, "CreateSessionObject", note, handle=doc)["result"]["qReturn"]["qHandle"]
            assert call(websocket, "GetLayout", handle=made)["result"]["qLayout"]["text"] == note["text"]
            assert room.control("POST", "sockets/close", {"code": 4003}) == {"closed": 1}
            assert end_of(websocket) == 4003


def test_apps_are_the_same_at_each_start_and_the_end_says_goodbye_to_websockets(acme: Room) -> None:
    before = acme.all("apps")
    with serving() as (process, url, _other):
        room = Room(url)
        assert room.all("apps") == before
        with room.enter(room.token("alice")) as one, room.enter(room.token("bob")) as other:
            assert [state_of(each) for each in (one, other)] == 2 * ["SESSION_CREATED"]
            process.terminate()
            assert [end_of(one), end_of(other)] == [1001, 1001]
        assert process.wait(PATIENCE_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
