"""One frozen object from the environment (`BRIDGE_*`). Every mistake is listed at once; no secret is printed."""

import json
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    field_serializer,
)

from bridge.budgeting import QLIKS_OWN, Limit
from bridge.errors import ConfigError
from bridge.roles import Grant, Role
from bridge.texts import WebAddress, checked_address, checked_origin, is_loopback
from bridge.webhooks import SHORTEST_SECRET as SHORTEST_WEBHOOK_SECRET
from bridge.webhooks import Webhook, shown_address

PREFIX = "BRIDGE_"
MASK = "**********"
SHORTEST_SECRET = 32
ALL_TENANTS = "*"
SLUG = r"\*|[a-z0-9-]+"
LOOPBACK = "127.0.0.0/8,::1/128"


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _networks(value: object) -> object:
    parts = _split(value)
    return tuple(ip_network(part) for part in parts) if isinstance(parts, tuple) else parts


def _fernet_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for key in keys:
        try:
            Fernet(key.get_secret_value())
        except ValueError:
            raise ValueError(
                "holds a key that is not 32 url-safe base64 bytes; make one with `qlik-bridge keys encryption`"
            ) from None
    return keys


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"needs {SHORTEST_SECRET} characters or more; make one with `qlik-bridge keys secret`")
    return secret


def _qualified(entries: tuple[str, ...]) -> tuple[str, ...]:
    for name, tenant in map(_name_and_tenant, entries):
        source, _, group = name.partition(":")
        if not source or not group:
            raise ValueError("entries are `source:group`, for example `assertion:bridge-admins`")
        if not re.fullmatch(SLUG, tenant):
            raise ValueError("entries end in `@tenant`, for example `oidc:acme-team@acme`; `@*` is every tenant")
    return entries


def _name_and_tenant(entry: str) -> tuple[str, str]:
    """Take `source:group@tenant` apart; a group whose own name holds an `@` needs the tenant, or `@*`, behind it."""
    name, at, tenant = entry.rpartition("@")
    return (name, tenant) if at else (entry, ALL_TENANTS)


def _asks_who(scope: str) -> str:
    if "openid" not in scope.split():
        raise ValueError("must hold `openid`, for example `openid profile email`")
    return scope


def _without_password(url: str) -> str:
    """Mask the password of a database URL, before the host or among the parameters."""
    return re.sub(r"(?<=[?&]password=)[^&]*", MASK, re.sub(r"(://[^:/@]*:).*@", rf"\1{MASK}@", url))


DatabaseUrl = Annotated[str, Field(repr=False), PlainSerializer(_without_password)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
PerMinute = Annotated[int, Field(ge=0, le=100_000_000)]
GrantedGroups = Annotated[Names, AfterValidator(_qualified)]


class Settings(BaseModel):
    """Everything that can be set from outside; docs/reference/settings.md lists it for people."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret_key: Annotated[SecretStr, AfterValidator(_long_enough)]
    encryption_keys: Annotated[
        tuple[SecretStr, ...], BeforeValidator(_split), Field(min_length=1), AfterValidator(_fernet_keys)
    ]
    public_url: Annotated[str, AfterValidator(checked_origin)]
    database_url: DatabaseUrl = "sqlite:///instance/bridge.db"
    database_connections: Annotated[int, Field(ge=1, le=1_000)] = 10
    people_in_memory: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    keys_dir: Path = Path("keys")
    identity: Annotated[tuple[Literal["demo", "assertion", "header", "oidc"], ...], BeforeValidator(_split)] = ()
    assertion_issuer: str | None = None
    assertion_jwks: str | None = None
    oidc_issuer: Annotated[str, AfterValidator(checked_address)] | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_subject_claim: Annotated[str, Field(min_length=1)] = "sub"
    oidc_groups_claim: Annotated[str, Field(min_length=1)] = "groups"
    oidc_scope: Annotated[str, AfterValidator(_asks_who)] = "openid profile email"
    header_user: str = "X-Forwarded-User"
    header_name: str = "X-Forwarded-Name"
    header_email: str = "X-Forwarded-Email"
    header_groups: str = "X-Forwarded-Groups"
    trusted_proxies: Networks = ()
    private_networks: Networks = ()
    admin_groups: GrantedGroups = ()
    operator_groups: GrantedGroups = ()
    viewer_groups: GrantedGroups = ()
    subject_requests_per_minute: PerMinute = 600
    address_refusals_per_minute: PerMinute = 120
    default_tenant: str | None = None
    budget_calls_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = QLIKS_OWN.calls_per_minute
    budget_margin_percent: Annotated[float, Field(ge=0, le=90)] = QLIKS_OWN.margin_percent
    budget_window_s: Annotated[float, Field(ge=1, le=3600)] = QLIKS_OWN.window_s
    threads: Annotated[int, Field(ge=1, le=1_000)] = 16
    renewal_ahead_minutes: Annotated[float, Field(ge=0, le=180)] = 30.0
    renewal_seen_minutes: Annotated[float, Field(ge=1, le=1440)] = 60.0
    flags: Annotated[str, Field(pattern=r"^(builtin|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$")] = "builtin"
    ops_networks: Annotated[Networks, Field(validate_default=True)] = LOOPBACK  # type: ignore[assignment]
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    demo_people: Annotated[str, AfterValidator(checked_origin)] | None = None
    notify_url: WebAddress | None = Field(None, repr=False)
    notify_secret: Annotated[SecretStr, Field(min_length=SHORTEST_WEBHOOK_SECRET)] | None = None

    @field_serializer("notify_url", when_used="json")
    def _shown_address(self, url: str | None) -> str | None:
        return None if url is None else shown_address(url)

    @property
    def public_host(self) -> str:
        return _host(self.public_url)

    @property
    def is_on_loopback(self) -> bool:
        """Tell whether the bridge serves this machine alone."""
        return is_loopback(self.public_host)

    @property
    def notify(self) -> Webhook | None:
        """Return where notices of all tenants go."""
        if self.notify_url is None or self.notify_secret is None:
            return None
        return Webhook(url=self.notify_url, secret=self.notify_secret)

    @property
    def limit(self) -> Limit:
        """Return what Qlik allows, and what we allow ourselves of it."""
        return Limit(self.budget_calls_per_minute, self.budget_window_s, self.budget_margin_percent)

    @property
    def is_demo(self) -> bool:
        return "demo" in self.identity

    def grants(self) -> Mapping[str, frozenset[Grant]]:
        """Return what each `source:group` may do."""
        named = {Role.ADMIN: self.admin_groups, Role.OPERATOR: self.operator_groups, Role.VIEWER: self.viewer_groups}
        found: dict[str, frozenset[Grant]] = {}
        for role, entries in named.items():
            for name, tenant in map(_name_and_tenant, entries):
                grant = Grant(role, None if tenant == ALL_TENANTS else tenant)
                found[name] = found.get(name, frozenset()) | {grant}
        return found

    @property
    def has_sign_in_page(self) -> bool:
        """Tell whether people without a session can get one at our own `/login`."""
        return bool({"demo", "oidc"} & set(self.identity))

    @property
    def cookies_are_secure(self) -> bool:
        """Tell whether our cookie is Secure: everywhere but on plain-http loopback."""
        return self.public_url.startswith("https://")


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings. Raises ConfigError with every mistake, by the name of its variable."""
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    mistakes = _joint_mistakes(given)
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        mistakes = [_sentence(each) for each in error.errors(include_input=False, include_url=False)] + mistakes
    if mistakes:
        raise ConfigError(mistakes)
    return settings


def _joint_mistakes(given: Mapping[str, str]) -> list[str]:
    """Look at the raw values, so that these mistakes show beside those of single settings."""
    ways = [way.strip() for way in given.get("identity", "").split(",") if way.strip()]
    found = []
    if "assertion" in ways and not (given.get("assertion_issuer") and given.get("assertion_jwks")):
        found.append("BRIDGE_IDENTITY=assertion needs BRIDGE_ASSERTION_ISSUER and BRIDGE_ASSERTION_JWKS")
    if "oidc" in ways and not all(given.get(f"oidc_{part}") for part in ("issuer", "client_id", "client_secret")):
        found.append(
            "BRIDGE_IDENTITY=oidc needs BRIDGE_OIDC_ISSUER, BRIDGE_OIDC_CLIENT_ID and BRIDGE_OIDC_CLIENT_SECRET"
        )
    if "header" in ways and not given.get("trusted_proxies"):
        found.append("BRIDGE_IDENTITY=header needs BRIDGE_TRUSTED_PROXIES, the addresses that may set the headers")
    if bool(given.get("notify_url")) != bool(given.get("notify_secret")):
        found.append("BRIDGE_NOTIFY_URL and BRIDGE_NOTIFY_SECRET go together: what a webhook hears is signed")
    return found + (_demo_mistakes(given, ways) if "demo" in ways else [])


def _demo_mistakes(given: Mapping[str, str], ways: list[str]) -> list[str]:
    found = []
    if ways != ["demo"]:
        found.append("BRIDGE_IDENTITY=demo must stand alone: everyone can sign in as anyone there")
    if not _is_loopback_origin(given.get("public_url", "")):
        found.append("BRIDGE_IDENTITY=demo needs a loopback BRIDGE_PUBLIC_URL")
    if not _is_loopback_origin(given.get("demo_people", "")):
        found.append("BRIDGE_IDENTITY=demo needs BRIDGE_DEMO_PEOPLE, the address of a loopback sandbox tenant")
    return found


def _is_loopback_origin(value: str) -> bool:
    try:
        return is_loopback(_host(checked_origin(value)))
    except ValueError:
        return False


def _sentence(mistake: Mapping[str, Any]) -> str:
    message = str(mistake["msg"]).removeprefix("Value error, ")
    if not mistake["loc"]:
        return message
    name = PREFIX + str(mistake["loc"][0]).upper()
    if mistake["type"] == "extra_forbidden":
        return f"{name} is not a setting of this version; see docs/reference/settings.md"
    if mistake["type"] == "missing":
        return f"{name} is required{_HINTS.get(str(mistake['loc'][0]), '')}"
    return f"{name} {message[:1].lower()}{message[1:]}"


_HINTS = {
    "secret_key": ": 32 random characters or more; make one with `qlik-bridge keys secret`",
    "encryption_keys": ": one Fernet key or more, comma separated; make one with `qlik-bridge keys encryption`",
    "public_url": ": the address at which browsers reach the bridge, for example https://bridge.example.com",
}


def settings_overview(settings: Settings) -> str:
    """Return the settings as JSON, secrets masked."""
    return json.dumps(settings.model_dump(mode="json"), indent=2)
