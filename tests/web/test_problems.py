"""Every error has one status and one form."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs
from webkit import Visitor, Web, problem

from bridge import errors
from bridge.errors import BridgeError, ConfigError, StageRefused, TenantError, UnmetCondition
from bridge.web.problems import STATUS

NEVER_ANSWERED = {ConfigError, TenantError}
EXPECTED = {
    "not_signed_in": 401,
    "sign_in_refused": 403,
    "sign_in_unavailable": 503,
    "bad_request": 400,
    "bad_csrf": 403,
    "not_allowed": 403,
    "unknown_tenant": 404,
    "too_large": 413,
    "conflict": 412,
    "needs_if_match": 428,
    "too_many": 429,
    "still_on_jwt": 409,
    "jwt_retired": 410,
    "stage_refused": 409,
    "subject_not_provisioned": 403,
    "sync_refused": 403,
    "app_refused": 403,
    "bad_content": 404,
    "budget_spent": 503,
    "tenant_refused": 502,
    "tenant_throttled": 503,
    "tenant_unavailable": 503,
    "tenant_timeout": 504,
    "still_waiting": 503,
    "bridge_busy": 503,
    "tenant_garbled": 502,
    "store_error": 503,
    "unreadable_tenant": 503,
}


def kinds(root: type[BridgeError] = BridgeError) -> Iterator[type[BridgeError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_error_class_is_in_the_table() -> None:
    assert set(STATUS) == set(kinds()) - NEVER_ANSWERED
    assert {kind.code(): status for kind, status in STATUS.items()} == EXPECTED


def raising(demo: Web, error: Exception) -> Visitor:
    """Return a visitor whose next token request ends in *error*."""
    demo.at("oauth")
    alice = demo.visitor("alice")
    demo.qlik.fail["log_in"] = [error, error]
    return alice


@pytest.mark.parametrize("kind", [kind for kind in STATUS if kind is not StageRefused], ids=lambda kind: kind.code())
def test_errors_are_json_for_programs(demo: Web, kind: type[BridgeError]) -> None:
    answer = raising(demo, kind("Do this.", detail="for the log")).access_token(**{"X-Request-Id": "abc-1"})

    assert answer.status_code == STATUS[kind]
    assert answer.get_json() == {"error": kind.code(), "message": "Do this.", "request_id": "abc-1"}
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)
    count = demo.metrics.registry.get_sample_value("bridge_errors_total", {"code": kind.code()})
    assert count == 1


def test_unmet_conditions_are_listed(demo: Web) -> None:
    refused = StageRefused([UnmetCondition("next_stage", "One step at a time.")])

    answer = raising(demo, refused).access_token()

    told = {"condition": "next_stage", "message": "One step at a time.", "forceable": True}
    assert answer.get_json()["unmet"] == [told]


@pytest.mark.parametrize(("wait_s", "shown"), [(0, "1"), (0.2, "1"), (1, "1"), (1.01, "2"), (300, "300")])
def test_waiting_times_are_whole_seconds_and_never_too_short(demo: Web, wait_s: float, shown: str) -> None:
    answer = raising(demo, errors.TooMany(retry_after_s=wait_s)).access_token()

    assert answer.headers["Retry-After"] == shown


def test_the_detail_is_for_the_log_alone(demo: Web) -> None:
    alice = raising(demo, errors.TenantGarbled(detail="half a JSON"))
    with capture_logs() as lines:
        answer = alice.access_token()

    assert "half a JSON" not in answer.text
    assert {"event": "refused", "code": "tenant_garbled", "detail": "half a JSON", "log_level": "warning"} in [
        {name: line.get(name) for name in ("event", "code", "detail", "log_level")} for line in lines
    ]


@pytest.mark.parametrize("defect", [ZeroDivisionError("secret thing"), ConfigError(["no key acme.pem"])])
def test_a_defect_shows_nothing_of_itself(demo: Web, defect: Exception) -> None:
    with capture_logs() as lines:
        answer = raising(demo, defect).access_token()

    assert problem(answer) == (500, "internal_error")
    assert not {"secret thing", "acme.pem", "Traceback", "ZeroDivision"} & set(answer.text.split())
    assert str(defect) not in answer.text
    assert [line["exc_info"] for line in lines if line["event"] == "internal_error"] == [defect]


def test_a_logged_defect_is_redacted(demo: Web, capsys: pytest.CaptureFixture[str]) -> None:
    from bridge.telemetry import configure_logging  # noqa: PLC0415 - undone below

    alice = raising(demo, ValueError("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"))
    configure_logging("info")
    try:
        alice.access_token()
    finally:
        structlog.reset_defaults()

    written = capsys.readouterr().err
    assert "internal_error" in written
    assert "ValueError" in written
    assert "eyJ" not in written


@pytest.mark.parametrize("path", ["/t/acme/nothing", "/api/v1/nothing", "/t/", "/api/"])
def test_unknown_routes_are_json_where_programs_ask(demo: Web, path: str) -> None:
    assert problem(demo.visitor().get(path)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/nothing", "/admin/nothing", "/login/nothing"])
def test_unknown_pages_are_pages(demo: Web, path: str) -> None:
    answer = demo.visitor().get(path, headers={"X-Request-Id": "find-me"})

    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "find-me" in answer.text
    assert "not_found" in answer.text


def test_wrong_methods_say_which_are_right(demo: Web) -> None:
    answer = demo.visitor().post("/t/acme/token")

    assert problem(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_pages_fail_as_pages(demo: Web, alice: Visitor) -> None:
    demo.change(required_group="Board")

    answer = alice.get("/t/acme/")

    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert "not_allowed" in answer.text
    assert (unknown := alice.get("/t/nowhere/")).status_code == 404
    assert unknown.mimetype == "text/html"
