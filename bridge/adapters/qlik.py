"""Qlik Cloud over HTTP. Nothing is repeated here: that is for callers who know whether they may."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from bridge.adapters.qlik_answers import REDIRECTED, REDIRECTS, blame_the_clock, document, minted, require_success, user
from bridge.adapters.qlik_management import ManagementClient
from bridge.adapters.qlik_proof import blame_the_proof, proof, token_endpoint
from bridge.adapters.reach import ANYWHERE, Reach
from bridge.adapters.wire import Answer, Patience, Wire, bearer
from bridge.errors import TenantGarbled, TenantRefused
from bridge.model import Minted, QlikUser, Tenant
from bridge.ports import Clock, Sign, SigningKeys
from bridge.telemetry import Step, timed

ME = "/api/v1/users/me"
USERS_ME = "users/me"
GROUP_SETTINGS = "/api/v1/groups/settings"
IMPERSONATION = "urn:qlik:oauth:user-impersonation"
MAX_HOPS = 3
DEFAULT_PORTS = {"https": 443, "http": 80}


class HttpQlik:
    """Implements ports.Qlik. No error of its methods repeats a JWT, cookie, token or secret."""

    def __init__(
        self, keys: SigningKeys, clock: Clock, *, patience: Patience | None = None, reach: Reach = ANYWHERE
    ) -> None:
        self._wire = Wire(patience, reach)
        self._keys = keys
        self._clock = clock
        self._management = ManagementClient(keys, clock, self._wire.patience, reach)

    def log_in(self, tenant: Tenant, sign: Sign) -> QlikUser:
        """Trade a JWT for a session (Qlik: POST /login/jwt-session), ask who it is, let it go."""
        with timed(Step.JWT_LOGIN):
            cookies = self.open_session(tenant, sign())
        with timed(Step.GROUPS):
            return user(USERS_ME, self.me(tenant, {"Cookie": cookies}))

    @timed(Step.MINT)
    def mint(self, tenant: Tenant, user_id: str) -> Minted:
        """Impersonate by user id (Qlik: POST /oauth/token). TenantRefused too when there is no issuing client."""
        client = tenant.issuing_client
        if client is None:
            raise TenantRefused(detail=f"tenant {tenant.slug} has no issuing client")
        fields = {
            "grant_type": IMPERSONATION,
            "user_lookup": {"field": "userId", "value": user_id},
            "scope": tenant.scope,
            **proof(tenant, client, self._keys, self._clock()),
        }
        answer = self._wire.send("POST", token_endpoint(tenant), document=fields)
        try:
            require_success("impersonation", answer, self._clock())
        except TenantRefused as refusal:
            raise blame_the_proof(refusal, client) from None
        try:
            return minted("impersonation", answer, asked_scope=tenant.scope, now=self._clock())
        except TenantGarbled as failure:
            failure.is_lost = True  # it says that it has minted
            raise

    @timed(Step.CHECK)
    def whoami(self, tenant: Tenant, access_token: str) -> QlikUser:
        return user(USERS_ME, self.me(tenant, bearer(access_token)))

    def revoke(self, tenant: Tenant, access_token: str) -> None:
        """End a token (Qlik: POST /oauth/revoke); an answer without a body is enough."""
        fields = {"token": access_token, "token_type_hint": "access_token"}
        answer = self._wire.send("POST", f"{tenant.host}/oauth/revoke", document=fields)
        require_success("revoke", answer, self._clock())
        if answer.body.strip():
            document("revoke", answer)

    def auto_creates_groups(self, tenant: Tenant) -> bool:
        """Read `autoCreateGroups` (Qlik: GET /api/v1/groups/settings)."""
        setting = document("group settings", self._management.get(tenant, GROUP_SETTINGS)).get("autoCreateGroups")
        if not isinstance(setting, bool):
            raise TenantGarbled(detail="group settings: no autoCreateGroups")
        return setting

    def open_session(self, tenant: Tenant, legacy_jwt: str) -> str:
        """Return the Cookie header of a new session."""
        answer = self._wire.send("POST", f"{tenant.host}/login/jwt-session", headers=bearer(legacy_jwt))
        try:
            require_success("jwt-session", answer, self._clock())
        except TenantRefused as refusal:
            raise blame_the_clock(refusal) from None
        document("jwt-session", answer)
        return _cookies(answer)

    def me(self, tenant: Tenant, headers: Mapping[str, str]) -> Answer:
        """Return the answer about the caller (Qlik: GET /api/v1/users/me, a 301 to the user itself)."""
        url = f"{tenant.host}{ME}"
        for _ in range(MAX_HOPS + 1):
            answer = self._wire.send("GET", url, headers=headers)
            if answer.status not in REDIRECTS:
                require_success(USERS_ME, answer, self._clock())
                return answer
            url = own_address(USERS_ME, tenant, url, answer.headers.get("Location", ""))
        raise TenantGarbled(REDIRECTED, detail=f"{USERS_ME}: redirected more than {MAX_HOPS} times")

    def get(self, call: str, url: str, headers: Mapping[str, str]) -> Answer:
        """Return a successful answer; nothing is followed."""
        answer = self._wire.send("GET", url, headers=headers)
        require_success(call, answer, self._clock())
        return answer


def _cookies(answer: Answer) -> str:
    """Return the Cookie header by hand: `requests` would keep Secure cookies from a loopback http tenant."""
    pairs = [line.partition(";")[0].strip() for line in answer.set_cookies]
    usable = [pair for pair in pairs if pair.partition("=")[2]]
    if not usable:
        raise TenantGarbled(detail="jwt-session: no cookies in the answer")
    return "; ".join(usable)


def own_address(call: str, tenant: Tenant, url: str, location: str) -> str:
    """Return where to go on, always at the tenant's own origin. Raises TenantGarbled when led elsewhere."""
    try:
        target = urlsplit(urljoin(url, location))
        is_ours = bool(location) and _origin(target) == _origin(urlsplit(tenant.host)) and "@" not in target.netloc
    except ValueError:
        is_ours = False
    if not is_ours:
        raise TenantGarbled(REDIRECTED, detail=f"{call}: redirected to another origin, not followed")
    return tenant.host + urlunsplit(("", "", target.path, target.query, ""))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)
