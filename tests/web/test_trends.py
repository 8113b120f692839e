"""The page of a tenant's trends, and the last errors explained."""

import re

import pytest
from webkit import Visitor, Web

from bridge.history import HOUR_S, Notes, Series
from bridge.roles import Grant, Role
from bridge.web.admin.trends import glance

TRENDS = "/admin/tenants/acme/trends"


def happened(demo: Web, hours_ago: int, **counts: int) -> None:
    """Keep that something happened so often, hours ago."""
    at = demo.clock() - hours_ago * HOUR_S
    hour = int(at // HOUR_S * HOUR_S)
    demo.history.add(Notes({}, {("acme", name.replace("__", ":"), hour): n for name, n in counts.items()}), at)


def sections(page: str) -> dict[str, str]:
    return {each.split('"')[0]: each for each in page.split('<h2 id="')[1:]}


def test_charts_say_what_they_show_and_hold_the_numbers(demo: Web, erin: Visitor) -> None:
    happened(demo, 1, oauth_people=62, jwt_people=38, issued=97, not_issued=3, calls=240)
    happened(demo, 20, oauth_people=5, jwt_people=15)
    found = sections(erin.get(TRENDS).text)

    paths = found["paths"].replace("\N{NO-BREAK SPACE}", " ")
    assert "In the last full hour 62 % of 100 people were on <code>oauth</code>; 19 hours before, 25 %." in paths
    assert 'role="img" aria-labelledby="paths-title paths-desc"' in paths
    assert "<td>62</td><td>38</td>" in re.sub(r"\s*\n\s*", "", paths)
    assert paths.count("not known") == 2 * 22
    assert "3 % got none" in found["tokens"].replace("\N{NO-BREAK SPACE}", " ")
    assert "4 % of the 6,000 that Qlik allows" in found["calls"].replace("\N{NO-BREAK SPACE}", " ")


def test_of_what_is_not_known_it_says_what_will_be_there(erin: Visitor) -> None:
    page = erin.get(TRENDS).text

    assert page.count("will show here") == 6
    assert "<svg" not in page


def test_a_month_goes_by_days(demo: Web, erin: Visitor) -> None:
    happened(demo, 49, calls=7)

    assert "will show here" in sections(erin.get(TRENDS).text)["calls"]
    assert "will show here" not in sections(erin.get(f"{TRENDS}?span=month").text)["calls"]
    assert erin.get(f"{TRENDS}?span=hush").status_code == 200


def test_the_last_errors_are_explained_the_newest_first(demo: Web, erin: Visitor) -> None:
    happened(demo, 3, trouble__tenant_refused=2)
    happened(demo, 1, trouble__sync_refused=44)
    happened(demo, 30, trouble__tenant_timeout=1)
    page = erin.get(TRENDS).text

    assert re.findall(r'<section class="trouble" id="([^"]+)"', page) == ["sync_refused", "tenant_refused"]
    assert "44 times in the last 24 hours" in page
    assert "The tenant refused the bridge itself." in page
    assert "In Qlik Cloud, Administration &gt; Identity provider" in page
    assert f'<a href="{TRENDS.replace("trends", "doctor")}">See the doctor</a>' in page


def test_codes_and_names_are_text(demo: Web, erin: Visitor) -> None:
    demo.change(name="<b>Acme</b>")
    happened(demo, 1, **{"trouble__<script>": 1})
    page = erin.get(TRENDS).text

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "This version of the bridge does not know this code" in page
    assert "<b>Acme" not in page


def test_a_command_names_the_tenant(demo: Web, erin: Visitor) -> None:
    happened(demo, 1, trouble__tenant_throttled=1)

    assert "<code>qlik-bridge stage ramp pause acme</code>" in erin.get(TRENDS).text


def test_viewers_of_the_tenant_may_read_it_and_nobody_else(demo: Web) -> None:
    happened(demo, 1, trouble__tenant_refused=1)
    value = demo.bridge.operators.new_token("v", actor="test", grant=Grant(Role.VIEWER, "acme"))
    viewer, bearer = demo.visitor(), {"Authorization": f"Bearer {value}"}
    page = viewer.get(TRENDS, headers=bearer)

    assert page.status_code == 200
    assert "See the doctor" not in page.text
    assert viewer.get("/admin/tenants/globex/trends", headers=bearer).status_code == 403
    assert viewer.get("/admin/tenants/nowhere/trends", headers=demo.operator_token()).status_code == 404
    assert demo.visitor("alice").get(TRENDS).status_code == 403


def test_with_every_series_it_keeps_to_the_strict_policy(demo: Web, erin: Visitor) -> None:
    happened(demo, 1, **{series.value: 7 for series in Series})
    happened(demo, 1, trouble__internal_error=1)
    page = erin.get(TRENDS)

    assert page.text.count('<svg class="plot" role="img"') == 5
    assert "style=" not in page.text
    assert re.findall(r"<script(?! src=)", page.text) == []
    ids = re.findall(r'\bid="([^"]+)"', page.text)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page.text)) <= set(ids)


@pytest.mark.parametrize(
    ("counts", "worst"),
    [
        ({}, None),
        ({"trouble__not_signed_in": 900}, "not_signed_in"),
        ({"trouble__not_signed_in": 900, "trouble__tenant_refused": 2, "trouble__store_error": 1}, "tenant_refused"),
    ],
)
def test_at_a_glance_what_the_tenant_refuses_weighs_most(demo: Web, counts: dict[str, int], worst: str | None) -> None:
    happened(demo, 1, oauth_people=1, **counts)
    with demo.app.app_context():
        found = glance("acme")

    assert (found["worst"].trouble.code if found["worst"] else None) == worst
    assert found["spark"].panels[0].columns
    assert found["share"].endswith("were on `oauth`.")


def test_the_plan_shows_it_at_a_glance(demo: Web, erin: Visitor) -> None:
    happened(demo, 1, oauth_people=3, jwt_people=1, trouble__tenant_refused=2)
    page = erin.get("/admin/tenants/acme").text.replace("\N{NO-BREAK SPACE}", " ")

    assert '<svg class="spark" role="img" aria-label="People by path in the last 24 hours"' in page
    assert "75 % of 4 people were on <code>oauth</code>." in page
    assert f'<a class="bad" href="{TRENDS}#tenant_refused"><code>tenant_refused</code> 2 times in 24 hours</a>' in page
    assert "style=" not in page
