"""What a scrape says of all workers: read anew each time, and left out while it cannot be read."""

from dataclasses import replace

from webkit import DEMO, Web, web

from bridge.model import TenantState
from bridge.plan import Pause, Ramp, RampStep
from bridge.webhooks import Notice


def metrics(demo: Web) -> str:
    answer = demo.visitor(peer="127.0.0.1").get("/metrics")
    assert answer.status_code == 200
    return answer.text


def pause(demo: Web, actor: str) -> None:
    state = demo.tenants.states["acme"]
    ramp = Ramp((RampStep(5, 60), RampStep(100, 0)), since=0, pause=Pause(actor, "why", 0))
    demo.tenants.states["acme"] = TenantState(state.tenant, replace(state.rollout, ramp=ramp))


def test_a_ramp_that_stands_still_says_who_paused_it_and_names_no_person() -> None:
    demo = web(**DEMO)
    for actor, by in (("guardrail", "guardrail"), ("ramp", "ramp"), ("demo:erin", "person")):
        pause(demo, actor)
        assert f'bridge_ramp_paused{{by="{by}",tenant="acme"}} 1.0' in metrics(demo)
    assert "erin" not in metrics(demo)


def test_what_is_over_is_no_longer_told() -> None:
    demo = web(**DEMO)
    pause(demo, "guardrail")
    assert "bridge_ramp_paused{" in metrics(demo)

    demo.at("rollout", 5)

    assert "bridge_ramp_paused{" not in metrics(demo)


def test_certificates_of_the_keys_that_tenants_use() -> None:
    demo = web(**DEMO)
    demo.change(signing_key="acme.pem")

    ends = [line for line in metrics(demo).splitlines() if line.startswith("bridge_certificate_ends_timestamp_seconds")]

    assert ends == ['bridge_certificate_ends_timestamp_seconds{key="acme.pem",tenant="acme"} 1.8013536e+09']


def test_notices_that_wait_by_tenant() -> None:
    demo = web(**DEMO)
    demo.outbox.put(*(Notice(str(each), "acme", "tenant", "{}", 0, 0) for each in range(3)))

    text = metrics(demo)

    assert 'bridge_outbox_waiting{tenant="acme"} 3.0' in text
    assert 'bridge_outbox_waiting{tenant="globex"} 0.0' in text


def test_with_the_store_away_the_scrape_goes_on_without_what_it_would_say() -> None:
    demo = web(**DEMO)
    metrics(demo)
    for store in (demo.tenants, demo.outbox, demo.budget):
        store.broken = True

    text = metrics(demo)

    assert "bridge_budget_left{" not in text
    assert "bridge_outbox_waiting{" not in text
    assert "bridge_killed{" not in text
    assert "bridge_http_requests_total{" in text
