"""The demo's portal, without a browser."""

import re
from uuid import NAMESPACE_URL, uuid5

import pytest
from webkit import DEMO_URL, Visitor, Web

from bridge.deadline import left_s
from bridge.errors import TenantUnavailable
from bridge.web.identity import SIGN_OUT_S


def test_nobody_is_sent_to_sign_in_and_comes_back(demo: Web) -> None:
    for path in ("/", "/t/acme/", "/admin/"):
        answer = demo.visitor().get(path)
        assert answer.status_code == 303
        assert answer.headers["Location"].replace("%2F", "/") == f"/login?next={path}"


def test_login_shows_everyone_in_one_form(demo: Web) -> None:
    page = demo.visitor().get("/login?next=/t/globex/").text

    assert page.count("<form") == 1
    for name in ("alice", "bob", "carol", "erin"):
        assert f'name="username" value="{name}"' in page
    assert 'name="next" value="/t/globex/"' in page


def test_login_does_not_repeat_a_bad_target(demo: Web) -> None:
    assert "evil" not in demo.visitor().get("/login?next=//evil.example/").text


def test_signing_in_sets_a_cookie_that_scripts_cannot_read(demo: Web) -> None:
    answer = demo.visitor().sign_in("carol")

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("bridge_session=qbs_")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


def test_each_sign_in_is_a_new_session(demo: Web) -> None:
    visitor = demo.visitor("alice")
    first = visitor.cookie()
    visitor.sign_in("alice")

    assert first != visitor.cookie()
    assert len(demo.sessions.rows) == 1


@pytest.mark.parametrize("username", ["mallory", "", "Alice", "alice "])
def test_a_wrong_name_is_said_so(demo: Web, username: str) -> None:
    answer = demo.visitor().sign_in(username)

    assert answer.status_code == 401
    assert "nobody of that name" in answer.text
    assert demo.sessions.rows == {}


def test_sign_in_needs_the_form_of_this_browser(demo: Web) -> None:
    theirs = demo.visitor().form_token()
    visitor = demo.visitor()

    without_form = visitor.post("/login", data={"username": "alice", "csrf_token": theirs})
    visitor.get("/login")
    of_another = visitor.post("/login", data={"username": "alice", "csrf_token": theirs})

    assert (without_form.status_code, of_another.status_code) == (403, 403)
    assert without_form.mimetype == "text/html"


def test_a_sandbox_that_is_away_is_said_so(demo: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise TenantUnavailable

    monkeypatch.setattr(demo.people, "all", away)

    assert demo.visitor().get("/login").status_code == 503


def test_home_lists_what_admits_the_person(demo: Web, alice: Visitor) -> None:
    demo.change("globex", required_group="Board")

    page = alice.get("/").text

    assert 'href="/t/acme/"' in page
    assert 'href="/t/globex/"' not in page


def test_the_portal_page_tells_path_and_stage(demo: Web, alice: Visitor) -> None:
    demo.at("rollout", groups=frozenset({"EMEA"}))

    page = alice.get("/t/acme/").text

    assert 'data-path="oauth" data-state="loading"' in page
    assert '<strong id="stage">rollout</strong>' in page
    assert 'data-stage="rollout" aria-current="step"' in page
    assert 'src="/t/acme/embed.js"' in page
    assert 'href="/t/globex/"' in page
    for part in ("path", "cookie", "caller-name", "caller-groups", "caller-rows", "explanation", "steps"):
        assert f'id="{part}"' in page
    assert "stage-control" not in page


def test_the_portal_page_embeds_the_tenants_charts(alice: Visitor) -> None:
    for slug in ("acme", "globex"):
        page = alice.get(f"/t/{slug}/").text
        assert f'app-id="app-{slug}" object-id="sales-by-product"' in page
        assert f'app-id="{uuid5(NAMESPACE_URL, f"{slug}/Ledger")}"' in page
        assert f'data-tenant="{slug}"' in page


def test_the_legacy_page_stands_on_its_own_feet(alice: Visitor) -> None:
    page = alice.get("/t/acme/legacy").text

    assert "embed.js" not in page
    assert 'src="/static/legacy.js"' in page
    assert 'src="https://acme.example.com/npm/enigma.js@2/enigma.min.js"' in page
    assert 'href="/t/acme/converted"' in page


def test_the_converted_page_needs_one_script(alice: Visitor) -> None:
    page = alice.get("/t/globex/converted").text

    assert 'src="/t/globex/embed.js"' in page
    frame = "https://globex.example.com/single/?appid=app-globex&amp;obj=object&amp;opt=ctxmenu,currsel"
    assert f'data-bridge-src="{frame}"' in page
    assert "legacy.js" not in page.split("<details>")[0]


@pytest.mark.parametrize("path", ["/t/acme/", "/t/acme/legacy", "/t/acme/converted"])
def test_pages_of_a_tenant_have_no_script_or_style_of_their_own(erin: Visitor, path: str) -> None:
    answer = erin.get(path)

    assert re.findall(r"<script(?![^>]* src=)|<style|\bstyle=|\bon[a-z]+=", answer.text) == []
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-eval" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/t/acme/legacy", "/t/acme/converted"])
def test_pages_of_a_tenant_are_for_those_whom_it_admits(demo: Web, alice: Visitor, path: str) -> None:
    demo.change(required_group="Board")

    assert demo.visitor().get(path).status_code == 303
    assert alice.get(path).status_code == 403


def test_operators_see_the_stage_control(demo: Web, erin: Visitor) -> None:
    assert 'id="stage-control"' in erin.get("/t/acme/").text
    assert 'id="step-back"' not in erin.get("/t/acme/").text

    demo.at("oauth")

    assert 'id="step-back" value="rollout"' in erin.get("/t/acme/").text


def test_names_are_escaped(demo: Web, alice: Visitor) -> None:
    demo.change(name="<script>alert(1)</script>")

    assert "<script>alert" not in alice.get("/").text + alice.get("/t/acme/").text


def test_sign_out_ends_session_and_tokens(demo: Web, alice: Visitor) -> None:
    for slug in ("acme", "globex"):
        demo.at("oauth", slug=slug)
        alice.access_token(slug)
    bob = demo.visitor("bob")
    bob.access_token()
    value = alice.cookie()

    answer = alice.post("/logout", data={"csrf_token": alice.csrf()["CSRF-Token"]})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert alice.cookie() is None
    assert demo.qlik.revoked == {"fake-token-1", "fake-token-2"}
    stolen = {"Authorization": f"Bearer {value}"}
    assert demo.visitor().get("/t/acme/session", headers=stolen).status_code == 401
    assert bob.access_token().text == "fake-token-3"


def test_sign_out_ends_the_session_of_a_bearer_too(demo: Web, alice: Visitor) -> None:
    bearer = {"Authorization": f"Bearer {alice.cookie()}"}
    program = demo.visitor()

    assert program.post("/logout", headers=bearer).status_code == 303
    assert program.get("/t/acme/session", headers=bearer).status_code == 401


def test_sign_out_needs_csrf(demo: Web, alice: Visitor) -> None:
    assert alice.post("/logout").status_code == 403
    assert alice.get("/t/acme/session").status_code == 200
    assert demo.visitor().post("/logout").status_code == 401


def test_sign_out_works_while_a_tenant_is_away(demo: Web, alice: Visitor) -> None:
    demo.at("oauth")
    alice.access_token()
    demo.qlik.fail["revoke"] = [TenantUnavailable()]

    assert alice.post("/logout", headers=alice.csrf()).status_code == 303


def test_no_tenant_that_hangs_uses_up_the_time_of_the_next_at_a_sign_out(demo: Web, alice: Visitor) -> None:
    for slug in ("acme", "globex"):
        demo.at("oauth", slug=slug)
        alice.access_token(slug)
    seen: list[tuple[float, int]] = []
    demo.qlik.before["revoke"] = lambda: seen.append((left_s(), len(demo.tokens.rows)))

    assert alice.post("/logout", headers=alice.csrf()).status_code == 303
    (first_s, first_kept), (second_s, second_kept) = seen
    assert first_kept == second_kept == 0, "all are out of use here before any tenant is asked"
    assert 0 < first_s <= SIGN_OUT_S / 2 < second_s <= SIGN_OUT_S, "the first took no time, so the second has the rest"


def test_there_is_no_portal_outside_the_demo(portal: Web) -> None:
    for path in ("/", "/login", "/t/acme/"):
        assert portal.visitor().get(path).status_code == 404
    assert portal.visitor().post("/logout").status_code == 404


# --- the demo answers to one name ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/t/acme/?a=b%20c", "/login", "/t/%C3%A5/config"])
def test_the_loopback_address_is_sent_on(demo: Web, path: str) -> None:
    answer = demo.visitor().get(path, base_url="http://127.0.0.1:8000")

    assert answer.status_code == 302
    assert answer.headers["Location"] == DEMO_URL + path


OTHER_PLACES = ["localhost", "localhost:8001", "127.0.0.1", "127.0.0.1:9", "[::1]:8000"]


@pytest.mark.parametrize("host", [*OTHER_PLACES, "evil.example", "localhost.evil.example:8000"])
def test_other_names_are_refused(demo: Web, host: str) -> None:
    for path in ("/login", "/t/acme/config", "/api/v1/tenants"):
        assert demo.visitor().get(path, base_url=f"http://{host}").status_code == 400
    assert demo.visitor().get("/healthz", base_url=f"http://{host}").status_code == 200


def test_posts_to_the_loopback_address_are_refused(demo: Web, alice: Visitor) -> None:
    assert alice.post("/t/acme/access-token", base_url="http://127.0.0.1:8000").status_code == 400
    assert demo.qlik.calls == []
