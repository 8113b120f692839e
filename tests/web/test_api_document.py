"""The OpenAPI document, and whether the API keeps to it whatever it is sent."""

from typing import Any, TypeAlias

import schemathesis
from hypothesis import HealthCheck, settings
from samples import subject
from schemathesis import checks
from webkit import ASSERTION, Web, web

Case: TypeAlias = schemathesis.Case[Any]
EXAMPLES = 12
"""How many requests a test sends to each operation: enough to find what is wrong, and done in seconds."""
SURE = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
STRICT = [checks.negative_data_rejection]
OPEN = {"/api/v1/openapi.json", "/api/v1/docs"}


def _fuzzed() -> Web:
    found = web(**ASSERTION, BRIDGE_ADDRESS_REFUSALS_PER_MINUTE="0")
    found.at("rollout", 50)
    found.subjects.note("acme", subject("0", "Finance"), 0)
    return found


FUZZED = _fuzzed()
BEARER = FUZZED.operator_token()
API = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", FUZZED.app)
CALM = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@API.parametrize()
@CALM
def test_whatever_an_admin_sends_is_answered_as_documented(case: Case) -> None:
    names_a_version = "If-Match" in case.headers  # of two mistakes, that one is told first
    case.call_and_validate(headers=BEARER, checks=[*SURE, *([] if names_a_version else STRICT)])


@API.parametrize()
@CALM
def test_whatever_a_stranger_sends_is_refused_as_documented(case: Case) -> None:
    answer = case.call_and_validate(checks=SURE)

    assert answer.status_code >= 400 or case.path in OPEN or case.method == "OPTIONS"
