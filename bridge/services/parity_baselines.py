"""The JWT side of parity: what a person's JWT session had, taken while they were on the JWT path."""

from bridge.errors import SubjectNotProvisioned, SyncRefused, TenantError, TenantThrottled
from bridge.evidence import Access, Baseline
from bridge.model import Identity, Path, QlikUser, SubjectRecord, Tenant, TenantState
from bridge.ports import Clock, ParityStore, Sign
from bridge.services.groups import GroupSync
from bridge.services.parity_checks import IDP
from bridge.services.parity_look import Looks
from bridge.services.rollout import Rollouts


class Baselines:
    """Take a baseline in the session of a group sync, before it is thrown away; keep it; say whether it still fits."""

    def __init__(self, looks: Looks, groups: GroupSync, rollouts: Rollouts, store: ParityStore, clock: Clock) -> None:
        self._looks = looks
        self._groups = groups
        self._rollouts = rollouts
        self._store = store
        self._clock = clock

    def admitted(self, tenant: Tenant, identity: Identity) -> SubjectRecord:
        """Return the newest row of a person who may use the tenant. Raises NotAllowed."""
        return self._groups.admitted(tenant, identity)

    def fitting(self, state: TenantState, record: SubjectRecord) -> tuple[Baseline | None, str]:
        """Return a baseline that can be compared with, or why there is none; on the JWT path one is taken at need.

        A stored one that fits is never taken anew: it could hide what was lost since. Raises TenantThrottled.
        """
        baseline, why = self._stored(state.tenant, record)
        if baseline is not None:
            return baseline, ""
        if self._rollouts.path(state, record.subject) is not Path.JWT:
            return None, f"{why}, and this person is on the OAuth path: take one with `qlik-bridge parity --baseline`"
        try:
            return self.take(state.tenant, record), ""
        except TenantThrottled:
            raise
        except (SyncRefused, SubjectNotProvisioned, TenantError) as failure:
            # Where only the groups were refused there was a session, and its baseline was kept.
            return self._stored(state.tenant, record)[0], f"no JWT session: {failure.code()}"

    def take(self, tenant: Tenant, record: SubjectRecord) -> Baseline:
        """Log in, look around, keep what was seen. Raises SyncRefused, SubjectNotProvisioned or the TenantError."""
        taken: list[Baseline] = []

        def log_in(signed: SubjectRecord, sign: Sign) -> QlikUser:
            access = self._looks.by_jwt(tenant, sign())
            facts = signed.subject.fingerprint()
            salt_id = self._looks.salt_id(tenant)
            taken.append(Baseline(tenant.slug, signed.subject.sub, facts, salt_id, self._clock(), access))
            self._store.keep_baseline(taken[-1])
            return _user(access)

        self._groups.renew(tenant, record.subject.sub, log_in)
        return taken[-1]

    def _stored(self, tenant: Tenant, record: SubjectRecord) -> tuple[Baseline | None, str]:
        baseline = self._store.baseline(tenant.slug, record.subject.sub)
        if baseline is None:
            return None, "no JWT baseline was taken"
        if baseline.fingerprint != record.subject.fingerprint():
            return None, "the portal's facts changed since the JWT baseline"
        if baseline.salt_id != self._looks.salt_id(tenant):
            return None, "BRIDGE_SECRET_KEY changed since the JWT baseline"
        if baseline.access.problems:
            return None, "the JWT baseline could not read everything"
        return baseline, ""


def _user(access: Access) -> QlikUser:
    holder = access.holder
    groups = frozenset(key.removeprefix(IDP) for key in holder.groups if key.startswith(IDP))
    return QlikUser(holder.user_id, holder.subject, groups)
