"""A tenant, its people and their sessions, with what one test cares about changed."""

from collections.abc import Iterable
from typing import Any

from fakes import START

from bridge.history import LookBack, Series, Span
from bridge.model import Cohorts, Identity, Rollout, Stage, Subject, Tenant, TenantState

CLIENT = {"id": "client-acme", "secret": "hush-issuing"}
MANAGEMENT = {"id": "manager-acme", "secret": "hush-management"}


def tenant_document(slug: str = "acme", **changes: object) -> dict[str, Any]:
    return {
        "slug": slug,
        "name": slug.title(),
        "host": f"https://{slug}.example.com",
        "admits": ["portal"],
        "issuer": f"issuer-{slug}",
        "key_id": f"kid-{slug}",
        "signing_key": "browser.pem",
        "web_integration_id": f"web-{slug}",
        "issuing_client": CLIENT,
        **changes,
    }


def tenant(slug: str = "acme", **changes: object) -> Tenant:
    return Tenant.model_validate(tenant_document(slug, **changes))


def state(
    stage: Stage = Stage.OAUTH,
    *,
    percentage: float = 0,
    subjects: Iterable[str] = (),
    groups: Iterable[str] = (),
    slug: str = "acme",
    **changes: object,
) -> TenantState:
    rollout = Rollout(stage, percentage, Cohorts(frozenset(subjects), frozenset(groups)))
    return TenantState(tenant(slug, **changes), rollout)


def subject(sub: str = "alice", *groups: str, **changes: str) -> Subject:
    facts = {"name": f"Name of {sub}", "email": f"{sub}@example.com", **changes}
    return Subject(sub, groups=frozenset(groups), **facts)


def identity(sub: str = "alice", *groups: str, at: float = START, **changes: str) -> Identity:
    return Identity(subject(sub, *groups, **changes), source="assertion", issuer="portal", asserted_at=at)


def look_back(now: float = START, span: Span = Span.DAY, **known: dict[int, int]) -> LookBack:
    """Return what is known of each series, by number of the slot, and nothing else."""
    values = {series: [known.get(series.value, {}).get(at) for at in range(span.slots)] for series in Series}
    return LookBack(span, span.starts(now), values)
