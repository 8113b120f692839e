"""Serve the legacy path: a signed JWT for pages that log in with third-party cookies."""

import structlog

from bridge.errors import JwtRetired, StoreError
from bridge.model import Identity, Stage, TenantState
from bridge.services.groups import GroupSync
from bridge.services.signer import Signer
from bridge.telemetry import Metrics

log = structlog.get_logger()


class LegacyJwts:
    """Issue legacy JWTs to browsers, in every stage but `retired`."""

    def __init__(self, signer: Signer, groups: GroupSync, metrics: Metrics) -> None:
        self._signer = signer
        self._groups = groups
        self._metrics = metrics

    def issue(self, state: TenantState, identity: Identity) -> str:
        """Return a fresh JWT, signed from the newest known facts. Raises JwtRetired.

        The browser's login will rewrite the tenant's memberships at a time that we do not see, so what the
        bridge remembers of its own last sync no longer counts, and a sync before the JWT's end is not the last.
        """
        if state.rollout.stage is Stage.RETIRED:
            raise JwtRetired
        record = self._groups.note(state.tenant, identity)
        self._expect_login(state, record.subject.sub)
        self._metrics.legacy_tokens.labels(state.tenant.slug, state.rollout.stage.value).inc()
        return self._signer.for_browser(state.tenant, record.subject)

    def _expect_login(self, state: TenantState, sub: str) -> None:
        """Remember that a browser will log in. No sync depends on it before the rollout, so no disk may stop it."""
        try:
            self._groups.expect_browser_login(state.tenant, sub)
        except StoreError:
            if state.rollout.stage.position >= Stage.ROLLOUT.position:
                raise
            log.warning("browser_login_not_noted", tenant=state.tenant.slug)
