"""Settings: what is read, every mistake at once, no secret in sight."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError
from samples import tenant

from bridge.bootstrap.guard import tenant_guard
from bridge.errors import ConfigError
from bridge.settings import Settings, read_settings, settings_overview

SECRET = "hush-secret-key-of-32-characters-or-more"
FERNET = [Fernet.generate_key().decode() for _ in range(2)]
LEAST = {
    "BRIDGE_SECRET_KEY": SECRET,
    "BRIDGE_ENCRYPTION_KEYS": FERNET[0],
    "BRIDGE_PUBLIC_URL": "https://bridge.example.com",
}
OIDC = {
    "BRIDGE_OIDC_ISSUER": "https://id.example.com",
    "BRIDGE_OIDC_CLIENT_ID": "qlik-bridge",
    "BRIDGE_OIDC_CLIENT_SECRET": "hush",
}
ASSERTION = {"BRIDGE_ASSERTION_ISSUER": "portal", "BRIDGE_ASSERTION_JWKS": "jwks.json"}
HEADER = {"BRIDGE_TRUSTED_PROXIES": "10.0.0.1"}
DEMO = {"BRIDGE_PUBLIC_URL": "http://localhost:8000", "BRIDGE_DEMO_PEOPLE": "http://127.0.0.1:9001"}


def read(**others: str) -> Settings:
    return read_settings({**LEAST, **others})


def mistakes(**others: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refusal:
        read(**others)
    return refusal.value.mistakes


class TestReading:
    def test_three_variables_are_enough(self) -> None:
        settings = read()

        assert settings.public_url == "https://bridge.example.com"
        assert settings.public_host == "bridge.example.com"
        assert settings.database_url == "sqlite:///instance/bridge.db"
        assert settings.keys_dir == Path("keys")
        assert settings.ops_networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
        assert (settings.identity, settings.admin_groups, settings.trusted_proxies) == ((), (), ())
        assert (settings.flags, settings.log_level, settings.is_demo) == ("builtin", "info", False)

    def test_lists_are_separated_by_commas(self) -> None:
        settings = read(
            **ASSERTION,
            BRIDGE_IDENTITY="assertion, header",
            BRIDGE_TRUSTED_PROXIES="10.0.0.1, 192.168.0.0/24,::1,",
            BRIDGE_ADMIN_GROUPS="assertion:bridge-admins,header:a:b",
            BRIDGE_ENCRYPTION_KEYS=",".join(FERNET),
        )

        assert settings.identity == ("assertion", "header")
        assert settings.trusted_proxies == tuple(map(ip_network, ["10.0.0.1/32", "192.168.0.0/24", "::1/128"]))
        assert settings.admin_groups == ("assertion:bridge-admins", "header:a:b")
        assert [key.get_secret_value() for key in settings.encryption_keys] == FERNET

    def test_the_rest_of_the_environment_is_none_of_our_business(self) -> None:
        assert read(PATH="/bin", NOT_BRIDGE_FLAGS="x") == read()

    @pytest.mark.parametrize(
        ("url", "is_secure"), [("https://bridge.example.com", True), ("http://localhost:8000", False)]
    )
    def test_the_cookie_is_secure_where_the_url_is(self, url: str, *, is_secure: bool) -> None:
        assert read(BRIDGE_PUBLIC_URL=url).cookies_are_secure is is_secure

    def test_another_flag_provider_is_a_path_to_a_factory(self) -> None:
        assert read(BRIDGE_FLAGS="company.flags:make").flags == "company.flags:make"

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(ValidationError):
            read().flags = "other:one"


class TestMistakes:
    def test_all_are_listed_at_once(self) -> None:
        with pytest.raises(ConfigError) as refusal:
            read_settings(
                {
                    "BRIDGE_SECRET_KEY": "hush",
                    "BRIDGE_ENCRYPTION_KEYS": f"{FERNET[0]},hush",
                    "BRIDGE_IDENTITY": "assertion,header,magic",
                    "BRIDGE_OPS_NETWORKS": "10.0.0.1/8",
                    "BRIDGE_LOG_LEVEL": "loud",
                    "BRIDGE_TYPO": "hush",
                }
            )

        found = refusal.value.mistakes
        assert len(found) == 9
        for wanted in (
            "BRIDGE_SECRET_KEY needs 32 characters or more",
            "BRIDGE_ENCRYPTION_KEYS holds a key that is not 32 url-safe base64 bytes",
            "BRIDGE_PUBLIC_URL is required: the address at which browsers reach the bridge",
            "BRIDGE_IDENTITY input should be 'demo', 'assertion', 'header'",
            "BRIDGE_OPS_NETWORKS 10.0.0.1/8 has host bits set",
            "BRIDGE_LOG_LEVEL input should be 'debug'",
            "BRIDGE_TYPO is not a setting of this version",
            "BRIDGE_IDENTITY=assertion needs BRIDGE_ASSERTION_ISSUER and BRIDGE_ASSERTION_JWKS",
            "BRIDGE_IDENTITY=header needs BRIDGE_TRUSTED_PROXIES",
        ):
            assert [mistake.startswith(wanted) for mistake in found].count(True) == 1
        assert "hush" not in str(refusal.value)

    def test_an_empty_environment_names_what_is_required(self) -> None:
        with pytest.raises(ConfigError) as refusal:
            read_settings({})

        assert [mistake.partition(" is required: ")[0] for mistake in refusal.value.mistakes] == [
            "BRIDGE_SECRET_KEY",
            "BRIDGE_ENCRYPTION_KEYS",
            "BRIDGE_PUBLIC_URL",
        ]

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            ("ENCRYPTION_KEYS", "", "value should have at least 1 item"),
            ("PUBLIC_URL", "http://bridge.example.com", "must be https"),
            ("PUBLIC_URL", "https://bridge.example.com/x", "must be just"),
            ("PUBLIC_URL", "https://user:hush@bridge.example.com", "must not hold a user name"),
            ("TRUSTED_PROXIES", "proxy.example.com", "'proxy.example.com' does not appear"),
            ("ADMIN_GROUPS", "bridge-admins", "entries are `source:group`"),
            ("ADMIN_GROUPS", ":bridge-admins", "entries are `source:group`"),
            ("ADMIN_GROUPS", "assertion:", "entries are `source:group`"),
            ("OPERATOR_GROUPS", "assertion:team@", "entries end in `@tenant`"),
            ("VIEWER_GROUPS", "team@acme", "entries are `source:group`"),
            ("VIEWER_GROUPS", "oidc:team@Not A Slug", "entries end in `@tenant`"),
            ("FLAGS", "company.flags", "string should match pattern"),
            ("FLAGS", "os:system; x", "string should match pattern"),
            ("LOG_LEVEL", "INFO", "input should be"),
        ],
    )
    def test_each_names_its_variable(self, name: str, value: str, problem: str) -> None:
        (mistake,) = mistakes(**{f"BRIDGE_{name}": value})

        assert mistake.startswith(f"BRIDGE_{name} {problem}")
        assert "hush" not in mistake


class TestIdentity:
    @pytest.mark.parametrize(
        "given",
        [
            {"BRIDGE_IDENTITY": ""},
            {"BRIDGE_IDENTITY": "assertion", **ASSERTION},
            {"BRIDGE_IDENTITY": "header", **HEADER},
            {"BRIDGE_IDENTITY": "header,assertion", **HEADER, **ASSERTION},
            {"BRIDGE_IDENTITY": "demo", **DEMO},
            {"BRIDGE_IDENTITY": "demo,", **DEMO},
            {"BRIDGE_IDENTITY": "demo", **DEMO, "BRIDGE_PUBLIC_URL": "localhost:8000"},
        ],
        ids=str,
    )
    def test_whole_combinations(self, given: dict[str, str]) -> None:
        assert read(**given).is_demo is ("demo" in given["BRIDGE_IDENTITY"])

    @pytest.mark.parametrize("missing", ASSERTION)
    def test_assertion_needs_both_parts(self, missing: str) -> None:
        given = {**ASSERTION, "BRIDGE_IDENTITY": "assertion", missing: ""}

        assert mistakes(**given) == (
            "BRIDGE_IDENTITY=assertion needs BRIDGE_ASSERTION_ISSUER and BRIDGE_ASSERTION_JWKS",
        )

    def test_header_needs_proxies(self) -> None:
        (mistake,) = mistakes(BRIDGE_IDENTITY="header")

        assert mistake.startswith("BRIDGE_IDENTITY=header needs BRIDGE_TRUSTED_PROXIES")

    @pytest.mark.parametrize("missing", OIDC)
    def test_oidc_needs_its_three_parts(self, missing: str) -> None:
        given = {name: value for name, value in OIDC.items() if name != missing}

        assert mistakes(BRIDGE_IDENTITY="oidc", **given) == (
            "BRIDGE_IDENTITY=oidc needs BRIDGE_OIDC_ISSUER, BRIDGE_OIDC_CLIENT_ID and BRIDGE_OIDC_CLIENT_SECRET",
        )

    @pytest.mark.parametrize(
        "issuer",
        [
            "http://id.example.com",
            "id.example.com",
            "https://user:hush@id.example.com",
            "https://id.example.com/?a=b",
            "https://id.example.com/#a",
            "https://id.example.com/a b",
            "ftp://localhost",
        ],
    )
    def test_an_issuer_is_an_https_address(self, issuer: str) -> None:
        (mistake,) = mistakes(BRIDGE_IDENTITY="oidc", **OIDC | {"BRIDGE_OIDC_ISSUER": issuer})

        assert mistake.startswith("BRIDGE_OIDC_ISSUER must be")
        assert "hush" not in mistake

    @pytest.mark.parametrize("issuer", ["https://id.example.com/", "http://127.0.0.1:9/realms/A", "https://id.example"])
    def test_an_issuer_is_kept_as_it_is(self, issuer: str) -> None:
        assert read(BRIDGE_IDENTITY="oidc", **OIDC | {"BRIDGE_OIDC_ISSUER": issuer}).oidc_issuer == issuer

    def test_oidc_asks_who_it_is(self) -> None:
        (mistake,) = mistakes(BRIDGE_IDENTITY="oidc", BRIDGE_OIDC_SCOPE="profile", **OIDC)

        assert mistake.startswith("BRIDGE_OIDC_SCOPE must hold `openid`")

    @pytest.mark.parametrize("others", ["demo,header", "assertion, demo", "demo,demo"])
    def test_demo_stands_alone(self, others: str) -> None:
        (mistake,) = mistakes(**DEMO, **ASSERTION, **HEADER, BRIDGE_IDENTITY=others)

        assert mistake.startswith("BRIDGE_IDENTITY=demo must stand alone")

    @pytest.mark.parametrize(
        "url", ["https://bridge.example.com", "https://localhost.example.com", "https://127.0.0.1.example.com"]
    )
    def test_demo_is_for_this_machine_alone(self, url: str) -> None:
        given = {**DEMO, "BRIDGE_IDENTITY": "demo"}

        assert mistakes(**{**given, "BRIDGE_PUBLIC_URL": url}) == (
            "BRIDGE_IDENTITY=demo needs a loopback BRIDGE_PUBLIC_URL",
        )
        assert mistakes(**{**given, "BRIDGE_DEMO_PEOPLE": url}) == (
            "BRIDGE_IDENTITY=demo needs BRIDGE_DEMO_PEOPLE, the address of a loopback sandbox tenant",
        )

    def test_demo_needs_people(self) -> None:
        given = {"BRIDGE_PUBLIC_URL": DEMO["BRIDGE_PUBLIC_URL"], "BRIDGE_IDENTITY": "demo"}

        assert ["BRIDGE_DEMO_PEOPLE" in mistake for mistake in mistakes(**given)] == [True]

    @pytest.mark.parametrize("url", ["http://[::1", "https://user:hush\u2100@localhost", ""])
    def test_an_address_that_is_none_is_a_mistake_like_any_other(self, url: str) -> None:
        found = mistakes(**{**DEMO, "BRIDGE_IDENTITY": "demo", "BRIDGE_PUBLIC_URL": url})

        assert [mistake.split()[0] for mistake in found] == ["BRIDGE_PUBLIC_URL", "BRIDGE_IDENTITY=demo"]
        assert "hush" not in str(found)


class TestSecrets:
    @pytest.mark.parametrize(
        "database_url",
        [
            "postgresql+psycopg://bridge:hush@db.example.com/bridge",
            "postgresql://bridge:hu/sh:hush@db.example.com:5432/bridge?sslmode=require",
            "postgresql://:hush@db.example.com/bridge",
            "postgresql:///bridge?host=/run&user=bridge&password=hush",
            "postgresql:///bridge?password=hush&user=bridge",
        ],
    )
    def test_none_is_printed(self, database_url: str) -> None:
        settings = read(BRIDGE_DATABASE_URL=database_url)

        printed = [str(settings), repr(settings), settings_overview(settings), settings.model_dump_json()]
        assert settings.database_url == database_url
        for text in printed:
            assert "hush" not in text
            assert FERNET[0] not in text

    @pytest.mark.parametrize(
        "database_url",
        ["sqlite:///instance/bridge.db", "sqlite:////data/a:b@c/bridge.db", "postgresql://db.example.com:5432/bridge"],
    )
    def test_a_database_without_a_password_shows_in_the_overview(self, database_url: str) -> None:
        assert f'"database_url": "{database_url}"' in settings_overview(read(BRIDGE_DATABASE_URL=database_url))

    def test_the_overview_shows_where_secrets_are_set(self) -> None:
        overview = settings_overview(read(BRIDGE_DATABASE_URL="postgresql://bridge:hush@db.example.com/bridge"))

        assert '"secret_key": "**********"' in overview
        assert '"database_url": "postgresql://bridge:**********@db.example.com/bridge"' in overview
        assert '"public_url": "https://bridge.example.com"' in overview


def test_a_webhook_for_all_tenants_comes_with_its_secret() -> None:
    url, secret = "https://hooks.example.com/bridge", "s" * 16

    assert read().notify is None
    webhook = read(BRIDGE_NOTIFY_URL=url, BRIDGE_NOTIFY_SECRET=secret).notify
    assert webhook is not None
    assert (webhook.url, webhook.secret.get_secret_value()) == (url, secret)
    for alone in ({"BRIDGE_NOTIFY_URL": url}, {"BRIDGE_NOTIFY_SECRET": secret}):
        assert "go together" in " ".join(mistakes(**alone))
    assert mistakes(BRIDGE_NOTIFY_URL="http://hooks.example.com", BRIDGE_NOTIFY_SECRET="short")


def test_a_tenants_webhook_on_loopback_is_for_a_bridge_on_loopback_alone() -> None:
    hook = {"url": "http://127.0.0.1:9/hook", "secret": "s" * 16}
    here = tenant(notify=hook)

    tenant_guard(read(BRIDGE_PUBLIC_URL="http://localhost:8000"))(here)
    with pytest.raises(ConfigError, match="loopback"):
        tenant_guard(read())(here)
