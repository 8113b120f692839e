"""A tenant's set-up: who sees the tenant reads it, admins of all tenants change it, and nobody's work is lost."""

import html
import re
from dataclasses import replace
from typing import Any

import pytest
from webkit import Visitor, Web

from bridge.model import Tenant
from bridge.roles import Grant, Role
from bridge.services.tenant_changes import Author
from bridge.web.admin.declaration import document_of, fields_of, sections

SET_UP = "/admin/tenants/acme/set-up"
NEW = "/admin/tenants/new"


def form_of(page: str) -> dict[str, str]:
    """Return what a browser would send of the page's big form, without its buttons."""
    form = page[page.index('name="revision"') - 40 :] if 'name="revision"' in page else page
    fields = dict(re.findall(r'<input [^>]*?name="([^"]+)"[^>]*? value="([^"]*)"', form))
    fields |= dict.fromkeys(re.findall(r'name="([^"]+)" type="password"', form), "")
    fields |= dict(re.findall(r'<textarea [^>]*?name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.DOTALL))
    for name, options in re.findall(r'<select [^>]*?name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r"<option selected>([^<]*)", options) or re.search(r"<option>([^<]*)", options)
        fields[name] = chosen[1] if chosen else ""
    return {name: html.unescape(text) for name, text in fields.items() if name not in {"preview", "undo"}}


@pytest.fixture
def sent(erin: Visitor) -> dict[str, str]:
    """The form of the page as it stands."""
    return form_of(erin.get(SET_UP).text) | {"csrf_token": erin.csrf()["CSRF-Token"], "reason": "as agreed"}


def change(visitor: Visitor, fields: dict[str, str], **changed: str) -> Any:  # noqa: ANN401 - werkzeug's answer
    return visitor.post(SET_UP, data={**fields, "change": "true", **changed})


def by_somebody_else(demo: Web, **fields: object) -> None:
    state = demo.tenants.states["acme"]
    whole = state.tenant.shown_document() | fields
    author = Author("demo:zoe", "her own reason")
    demo.bridge.tenant_changes.put("acme", whole, seen=state.revision, author=author)


def role(demo: Web, role: Role, slug: str | None) -> dict[str, str]:
    value = demo.bridge.operators.new_token(f"{role}-{slug}", actor="test", grant=Grant(role, slug))
    return {"Authorization": f"Bearer {value}"}


def test_the_form_sent_back_as_it_is_changes_nothing(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    demo.change(
        guardrails={"throttled": {"threshold": 12.5}},
        parity={
            "probes": [{"name": "sales", "app_id": "a", "dimension": "Region", "measure": "Sum(Sales)"}],
            "ignores": [{"area": "spaces", "item": "Playground: *", "reason": "own"}],
            "sample_percent": 0.25,
        },
        content={"app_id": "app", "sheet_id": "sheet"},
    )
    before = demo.tenants.states["acme"].tenant
    whole = form_of(erin.get(SET_UP).text) | {"csrf_token": sent["csrf_token"], "reason": "as agreed"}
    preview = erin.post(SET_UP, data={**whole, "preview": "true"})
    done = change(erin, whole)

    assert "Nothing would change" in preview.text
    assert (done.status_code, demo.tenants.states["acme"].tenant) == (303, before)
    assert demo.tenants.events == []


def test_a_change_is_shown_before_it_is_done(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    changed = {
        "quiet_days": "20",
        "allowed_origins": "https://a.example.com\r\n\r\n https://b.example.com ",
        "guardrails.throttled.action": "off",
        "parity.probes.1.name": "sales",
        "parity.probes.1.app_id": "a",
        "parity.probes.1.dimension": "Region",
        "parity.probes.1.measure": "Sum(Sales)",
        "issuing_client.secret": "another-hush",
    }
    preview = erin.post(SET_UP, data={**sent, **changed, "preview": "true", "reason": ""})
    assert preview.status_code == 200
    assert "What would change" in preview.text
    assert "<code>quiet_days</code>" in preview.text
    assert "(another secret)" in preview.text
    assert "another-hush" not in preview.text
    assert demo.tenants.events == []

    done = change(erin, sent, **changed)
    tenant = demo.tenants.states["acme"].tenant
    assert (done.status_code, done.headers["Location"]) == (303, f"{SET_UP}?done=changed")
    assert (tenant.quiet_days, tenant.guardrails.throttled.action) == (20, "off")
    assert tenant.allowed_origins == ("https://a.example.com", "https://b.example.com")
    assert [each.name for each in tenant.parity.probes] == ["sales"]
    assert tenant.secrets()["issuing_client"] == "another-hush"
    page = erin.get(done.headers["Location"]).text
    assert "To undo it" in page
    assert "another-hush" not in page


def test_every_mistake_is_told_at_its_field_and_nothing_typed_is_lost(erin: Visitor, sent: dict[str, str]) -> None:
    wrong = {
        "host": "ftp://x",
        "allowed_origins": "https://ok.example.com\nhttps://a/b",
        "quiet_days": "many",
        "issuing_client.secret": "typed-hush",
        "guardrails.throttled.window_s": "1",
        "parity.probes.0.name": "no app",
        "sync_issuer": "https://half",
        "name": "Acme & <Co>",
        "reason": "",
    }
    answer = change(erin, sent, **wrong)
    told = set(re.findall(r'id="f-([^"]+)-wrong"', answer.text))

    assert answer.status_code == 400
    fields = {"host", "allowed_origins", "quiet_days", "guardrails.throttled.window_s", "reason"}
    assert told >= fields | {"parity.probes.0.app_id"}
    assert 'value="Acme &amp; &lt;Co&gt;"' in answer.text
    assert 'value="many"' in answer.text
    assert "typed-hush" not in answer.text
    assert "Value error" not in answer.text


def test_another_host_needs_the_secret_again(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    refused = change(erin, sent, host="https://elsewhere.example.com", quiet_days="many")
    assert refused.status_code == 400
    assert set(re.findall(r'id="f-([^"]+)-wrong"', refused.text)) == {"issuing_client.secret", "quiet_days"}
    assert demo.tenants.events == []

    again = change(erin, sent, **{"host": "https://elsewhere.example.com", "issuing_client.secret": "new-hush"})
    assert again.status_code == 303


def test_a_client_is_taken_out_by_emptying_its_id(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    by_key = {"issuing_client.key": "client.pem", "issuing_client.key_id": "kid"}
    assert change(erin, sent, **by_key).status_code == 303
    client = demo.tenants.states["acme"].tenant.issuing_client
    assert client is not None
    assert (client.secret, client.key) == (None, "client.pem")

    sent["revision"] = "1"
    assert change(erin, sent, **{"issuing_client.id": ""}).status_code == 303
    assert demo.tenants.states["acme"].tenant.issuing_client is None


def test_who_is_late_sees_both_and_undoes_nothing_by_mistake(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    by_somebody_else(demo, quiet_days=30)
    answer = change(erin, sent, name="Mine")
    kept = form_of(answer.text)

    assert answer.status_code == 412
    assert "demo:zoe: her own reason" in answer.text
    assert "What would change" in answer.text
    assert (kept["name"], kept["quiet_days"], kept["revision"]) == ("Mine", "30", "1")
    assert demo.tenants.states["acme"].tenant.name == "Acme"
    done = change(erin, kept | {"csrf_token": sent["csrf_token"], "reason": "as agreed"})
    tenant = demo.tenants.states["acme"].tenant
    assert (done.status_code, tenant.name, tenant.quiet_days) == (303, "Mine", 30)


def test_a_change_is_undone_by_its_own_button(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    before = demo.tenants.states["acme"].tenant
    change(erin, sent, quiet_days="20", required_group="Analytics")
    link = re.search(r'href="(/admin/tenants/acme/set-up\?undo=\d+)"', erin.get(SET_UP).text)
    assert link is not None
    page = erin.get(link[1]).text
    undone = form_of(page) | {"csrf_token": sent["csrf_token"]}

    assert "What would change" in page
    assert undone["reason"] == "Undo: as agreed"
    assert change(erin, undone).status_code == 303
    assert demo.tenants.states["acme"].tenant == before


@pytest.mark.parametrize("who", [(Role.VIEWER, "acme"), (Role.ADMIN, "acme"), (Role.OPERATOR, None)])
def test_others_read_it_and_cannot_change_it(demo: Web, who: tuple[Role, str | None]) -> None:
    visitor, bearer = demo.visitor(), role(demo, *who)
    page = visitor.get(SET_UP, headers=bearer).text

    assert "issuer-acme" in page
    assert "set (secret)" in page
    assert f'action="{SET_UP}"' not in page
    assert "hush" not in page
    assert visitor.post(SET_UP, data={"name": "x", "reason": "x"}, headers=bearer).status_code == 403
    assert visitor.get(NEW, headers=bearer).status_code == 403
    assert visitor.post(NEW, data={"slug": "x", "reason": "x"}, headers=bearer).status_code == 403
    assert NEW not in visitor.get("/admin/", headers=bearer).text


def test_of_another_tenant_nothing_is_read_and_no_forged_form_counts(demo: Web, erin: Visitor) -> None:
    assert demo.visitor().get(SET_UP, headers=role(demo, Role.ADMIN, "globex")).status_code == 403
    assert erin.post(SET_UP, data={"name": "x", "reason": "x"}).status_code == 403
    assert erin.post(NEW, data={"slug": "x", "reason": "x"}).status_code == 403


# --- a first tenant --------------------------------------------------------------------------------------


FIRST = {
    "slug": "initech",
    "name": "Initech",
    "host": "https://initech.example.com",
    "admits": "demo",
    "issuer": "issuer",
    "key_id": "kid",
    "signing_key": "browser.pem",
    "reason": "our first",
    "change": "true",
}


def test_a_first_tenant_is_connected(demo: Web, erin: Visitor) -> None:
    token = {"csrf_token": erin.csrf()["CSRF-Token"]}
    demo.tenants.states = {}
    assert NEW in erin.get("/admin/").text
    blank = form_of(erin.get(NEW).text)
    made = erin.post(NEW, data=blank | FIRST | token)

    assert (made.status_code, made.headers["Location"]) == (303, "/admin/tenants/initech?done=created")
    state = demo.tenants.states["initech"]
    assert (state.rollout.stage, state.tenant.quiet_days, state.tenant.issuing_client) == ("legacy", 14, None)
    assert demo.tenants.events[-1].reason == "our first"
    assert "nothing changes for anybody" in erin.get(made.headers["Location"]).text


@pytest.mark.parametrize(
    ("wrong", "status", "told"),
    [
        ({"slug": "acme"}, 412, "f-slug-wrong"),
        ({"slug": "new"}, 400, "address of the console"),
        ({"slug": "Not A Slug"}, 400, "f-slug-wrong"),
        ({"slug": "", "name": ""}, 400, "f-name-wrong"),
        ({"reason": " "}, 400, "f-reason-wrong"),
    ],
)
def test_a_new_tenant_that_cannot_be(demo: Web, erin: Visitor, wrong: dict[str, str], status: int, told: str) -> None:
    fields = form_of(erin.get(NEW).text) | FIRST | {"csrf_token": erin.csrf()["CSRF-Token"]} | wrong
    answer = erin.post(NEW, data=fields)

    assert answer.status_code == status
    assert told in answer.text
    assert 'value="https://initech.example.com"' in answer.text
    assert sorted(demo.tenants.states) == ["acme", "globex"]


def test_every_part_of_a_declaration_has_a_field(demo: Web) -> None:
    form = sections(document_of(demo.tenants.states["acme"].tenant), is_new=True)
    told = {field.name.partition(".")[0] for field in fields_of(form)}

    assert told == Tenant.model_fields.keys() - {"group_strategy"}  # it has one value


def test_a_tenant_is_given_its_own_flags(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    assert change(erin, sent, own_flags="true").status_code == 303

    assert demo.tenants.states["acme"].tenant.own_flags


def test_a_locked_secret_must_be_set_again_with_the_next_change(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    """An empty one would otherwise be stored for good, and nobody could put the old key back."""
    known = demo.tenants.states["acme"]
    locked = replace(known, tenant=Tenant.from_documents(known.tenant.public_document(), None))
    demo.tenants.states["acme"] = locked
    refused = change(erin, sent, quiet_days="20")
    assert refused.status_code == 400
    assert "is locked: no encryption key opens it, so set it again" in refused.text
    assert demo.tenants.states["acme"] == locked

    done = change(erin, sent, **{"quiet_days": "20", "issuing_client.secret": "hush-set-again"})
    assert done.status_code == 303
    assert demo.tenants.states["acme"].tenant.secrets()["issuing_client"] == "hush-set-again"


@pytest.mark.parametrize("name", ["guardrails.issue_errors.threshold", "parity.sample_percent"])
@pytest.mark.parametrize("text", ["1e999", "inf", "-inf", "nan"])
def test_no_number_without_end_is_kept(demo: Web, erin: Visitor, sent: dict[str, str], name: str, text: str) -> None:
    before = demo.tenants.states["acme"]
    refused = change(erin, sent, **{name: text})

    assert refused.status_code == 400
    assert "finite number" in html.unescape(refused.text)
    assert demo.tenants.states["acme"] == before


def test_a_line_of_the_form_is_one_entry(demo: Web, erin: Visitor, sent: dict[str, str]) -> None:
    assert change(erin, sent, admits="demo\r\nof\u2028one line").status_code == 303
    assert demo.tenants.states["acme"].tenant.admits == ("demo", "of\u2028one line")
