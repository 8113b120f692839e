"""Logs without secrets, metrics under their published names."""

import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog
from fakes import FakeClock, FakeKeys
from prometheus_client import generate_latest
from samples import subject, tenant

from bridge.errors import TenantTimeout
from bridge.services.signer import Signer
from bridge.telemetry import (
    MASK,
    Lines,
    Metrics,
    Step,
    StepTaken,
    collect_steps,
    configure_logging,
    note_step,
    redact,
    timed,
)

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl-_hush"
PEM = "-----BEGIN PRIVATE KEY-----\nhush\nhush\n-----END PRIVATE KEY-----"
DOCUMENTED = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
SECRETS = [
    JWT,
    JWT[:30],
    JWT.rpartition(".")[0] + ".",
    "Bearer hush",
    "authorization: bearer hush.hush",
    "Basic aHVzaDpodXNo-hush",
    "eas.sid=hush",
    "Cookie: eas.sid=s%3Ahush.hush; eas.sid.sig=hush; _csrfToken=hush; _csrfToken.sig=hush",
    "{'eas.sid': 'hush', '_csrfToken': 'hush'}",
    '{"eas.sid":"hush","_csrfToken.sig": "hush"}',
    "[('eas.sid', 'hush')]",
    "<Cookie eas.sid=hush for acme.example.com/>",
    "qbs_hush-hush_hush",
    "qbo_hush",
    PEM,
    PEM[:40],
    PEM.replace("\n", "\\n"),
    "-----BEGIN RSA PRIVATE KEY-----\nhush",
]


def leaks(text: str) -> bool:
    return "hush" in text or "eyJ" in text


class TestRedact:
    @pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
    def test_masks_credentials_inside_any_text(self, secret: str) -> None:
        masked = redact(f"before {secret}")

        assert not leaks(masked)
        assert masked.startswith("before ")
        assert MASK in masked

    def test_masks_a_real_legacy_jwt(self) -> None:
        signed = Signer(FakeKeys(), FakeClock()).for_browser(tenant(), subject())

        assert redact(f"<{signed}>") == f"<{MASK}>"

    def test_masks_each_of_several(self) -> None:
        assert redact(f"{JWT} and {JWT} and qbs_hush") == f"{MASK} and {MASK} and {MASK}"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "tenant acme: the key browser.pem cannot be used",
            "https://acme.example.com/login/jwt-session answered 401 LOGIN-2",
            "o'neil\"\\ 名前",
            "the session has no eas.sid cookie",
        ],
    )
    def test_leaves_other_text_alone(self, text: str) -> None:
        assert redact(text) == text

    def test_what_follows_a_key_stays_readable(self) -> None:
        assert redact(f"{PEM} is not RSA") == f"{MASK} is not RSA"


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Configure logging as the product does, and put back what the tests had."""
    root, authlib = logging.getLogger(), logging.getLogger("authlib")
    handlers, levels = root.handlers[:], (root.level, authlib.level)
    root.handlers.clear()
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    configure_logging("info")
    yield stderr
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    authlib.setLevel(levels[1])
    structlog.reset_defaults()


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def refuse() -> None:
    raise ValueError(f"refused {JWT} eas.sid=hush")


def fail() -> None:
    """Raise an exception whose text, and the text of its cause, hold credentials."""
    try:
        refuse()
    except ValueError as error:
        text = "still Bearer hush"
        raise RuntimeError(text) from error


class Careless:
    """An object whose repr tells everything."""

    def __repr__(self) -> str:
        return f"Careless({JWT})"


VALUES = [
    JWT,
    [JWT],
    (JWT,),
    {JWT},
    frozenset({JWT}),
    {"deep": [{"deeper": (JWT,)}]},
    {JWT: 1},
    {"headers": {"Authorization": "hush", "Set-Cookie": "hush", "qlik-csrf-token": "hush"}},
    {"client": {"client_secret": "hush", "password": "hush"}},
    {"user_private_key": ["hush"]},
    ValueError(f"refused: {JWT}"),
    [ValueError(f"refused: {JWT}")],
    JWT.encode(),
    Careless(),
    {"it": Careless()},
]


class TestLogs:
    def test_are_json_lines_with_time_and_level(self, output: io.StringIO) -> None:
        structlog.get_logger().info("stage_moved", tenant="acme", percent=12.5, forced=False, before=None)

        (line,) = lines(output)
        assert line.pop("timestamp").endswith("Z")
        assert line == {
            "event": "stage_moved",
            "level": "info",
            "tenant": "acme",
            "percent": 12.5,
            "forced": False,
            "before": None,
        }

    def test_stay_whole_however_many_threads_write(self, tmp_path: Path) -> None:
        with (file := tmp_path / "log").open("a") as stream, ThreadPoolExecutor(8) as pool:
            write = Lines(stream).info
            list(pool.map(write, [f"{number} {'ü' * 500}\udc80" for number in range(2000)]))

        written = file.read_bytes().decode().splitlines()
        assert sorted(int(line.partition(" ")[0]) for line in written) == list(range(2000))
        assert {line.partition(" ")[2] for line in written} == {"ü" * 500 + "\\udc80"}

    def test_carry_the_context_of_the_request(self, output: io.StringIO) -> None:
        with structlog.contextvars.bound_contextvars(request_id="r-1"):
            structlog.get_logger().info("asked")

        assert lines(output)[0]["request_id"] == "r-1"

    def test_below_the_level_nothing_is_written(self, output: io.StringIO) -> None:
        structlog.get_logger().debug("details")

        assert lines(output) == []

    @pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
    @pytest.mark.parametrize("through", ["structlog", "logging"])
    def test_mask_credentials_in_the_message(self, output: io.StringIO, through: str, secret: str) -> None:
        if through == "structlog":
            structlog.get_logger().warning(f"odd: {secret}")
        else:
            logging.getLogger("some.package").warning("odd: %s", secret)

        assert "odd: " in output.getvalue()
        assert not leaks(output.getvalue())

    @pytest.mark.parametrize(
        "value",
        VALUES,
        ids=range(len(VALUES)),
    )
    def test_mask_credentials_in_values_of_any_kind(self, output: io.StringIO, value: object) -> None:
        structlog.get_logger().warning("odd", detail=value)

        assert MASK in output.getvalue()
        assert not leaks(output.getvalue())

    @pytest.mark.parametrize(
        "name", ["access_token", "token", "client_secret", "password", "cookie", "Authorization", "jwt", "assertion"]
    )
    def test_mask_everything_under_a_telling_name(self, output: io.StringIO, name: str) -> None:
        structlog.get_logger().warning("odd", **{name: "hush", "nothing": None})

        assert lines(output)[0][name] == MASK

    @pytest.mark.parametrize("value", [2**70, -(2**70), "a\udc80b", 1.5, True, None, "名前"])
    def test_keep_what_json_alone_can_hold(self, output: io.StringIO, value: object) -> None:
        structlog.get_logger().warning("odd", detail=value)

        assert lines(output)[0]["detail"] == value

    @pytest.mark.parametrize("secret", ["bEaReR hush", "EAS.SID=hush", "_CSRFTOKEN: hush", "ba\u017fic hush"])
    def test_mask_credentials_in_any_case(self, output: io.StringIO, secret: str) -> None:
        structlog.get_logger().warning("odd", detail=secret)

        assert lines(output)[0]["detail"] == MASK

    def test_a_token_id_is_no_secret(self, output: io.StringIO) -> None:
        structlog.get_logger().warning("odd", token_id="abc", token=None)

        (line,) = lines(output)
        assert (line["token_id"], line["token"]) == ("abc", None)

    @pytest.mark.parametrize("through", ["structlog", "logging"])
    def test_mask_credentials_in_the_text_of_exceptions(self, output: io.StringIO, through: str) -> None:
        log = structlog.get_logger() if through == "structlog" else logging.getLogger("some.package")
        try:
            fail()
        except RuntimeError:
            log.exception("failed")

        (line,) = lines(output)
        assert "RuntimeError: still" in line["exception"]
        assert "ValueError: refused" in line["exception"]
        assert not leaks(output.getvalue())

    def test_libraries_speak_up_from_warning_on(self, output: io.StringIO) -> None:
        logging.getLogger("urllib3").info("details")
        logging.getLogger("urllib3").warning("retrying %d times", 3, stack_info=True)

        (line,) = lines(output)
        assert (line["event"], line["level"]) == ("retrying 3 times", "warning")
        assert "_record" not in line

    def test_authlib_never_prints_its_details(self, output: io.StringIO) -> None:
        """Its debug lines hold whole tokens."""
        logging.getLogger().setLevel(logging.DEBUG)
        logging.getLogger("authlib.integrations").debug("token: hush")

        assert lines(output) == []


class TestMetrics:
    def test_every_documented_name_is_exposed_and_no_other(self) -> None:
        cells = [line.split("|")[1].strip() for line in DOCUMENTED.read_text().splitlines() if line.startswith("| `")]
        documented = {cell.strip("`") for cell in cells}
        exposed = {
            f"{family.name}_total" if family.type == "counter" else family.name
            for family in Metrics().registry.collect()
        }

        assert exposed == documented

    def test_two_applications_in_one_process_count_apart(self) -> None:
        one, other = Metrics(), Metrics()
        one.errors.labels("not_signed_in").inc()

        assert b'bridge_errors_total{code="not_signed_in"} 1.0' in generate_latest(one.registry)
        assert b"not_signed_in" not in generate_latest(other.registry)


class TestSteps:
    def test_they_are_collected_in_order_with_what_ended_them(self) -> None:
        steps = collect_steps()
        with timed(Step.JWT_LOGIN):
            note_step(StepTaken(Step.KEPT))
        with pytest.raises(TenantTimeout), timed(Step.MINT):
            raise TenantTimeout
        with pytest.raises(KeyError), timed(Step.CHECK):
            raise KeyError

        assert [(each.step, each.problem) for each in steps] == [
            ("kept", ""),
            ("jwt-login", ""),
            ("mint", "tenant_timeout"),
            ("check", ""),
        ]
        assert all(each.seconds is None or each.seconds >= 0 for each in steps)

    def test_a_new_collection_leaves_the_old_one_alone(self) -> None:
        first, second = collect_steps(), collect_steps()
        note_step(StepTaken(Step.KEPT))

        assert (first, second) == ([], [StepTaken(Step.KEPT)])

    def test_other_threads_do_not_add_to_it(self) -> None:
        steps = collect_steps()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(note_step, StepTaken(Step.KEPT)).result()

        assert steps == []
