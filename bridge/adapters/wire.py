"""HTTP calls that cannot run away: within reach, no redirects, cookies or environment, time limits, capped bodies.

Our own calls go to the adapter of `requests` by themselves, because a session prepares, merges and parses for each call
what we never ask of it, for longer than the rest takes. Libraries that want a session get a tamed one.
"""

import io
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from http.cookiejar import DefaultCookiePolicy
from socket import gaierror
from typing import Any

from requests import PreparedRequest, RequestException, Response, Session, Timeout
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.utils import DEFAULT_CA_BUNDLE_PATH, check_header_validity
from urllib3 import Retry
from urllib3 import Timeout as Limits
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError
from urllib3.response import BaseHTTPResponse

from bridge.adapters.reach import ANYWHERE, Reach
from bridge.deadline import at_most, left_s, within
from bridge.errors import TenantError, TenantGarbled, TenantTimeout, TenantUnavailable

MAX_BODY = 1_000_000
CHUNK = 65_536
CONNECTIONS = 32
ADDRESSES = 1_000
"""So many are prepared once: a tenant has a few, and one for each person who logs in."""
HEADERS = {"Accept-Encoding": "identity", "Accept": "application/json", "User-Agent": "qlik-bridge"}
"""`identity`, so that the cap is on what was sent."""
ONCE = Retry(False, redirect=False)
BEFORE_IT_WAS_SENT = (ConnectTimeoutError, NewConnectionError, SSLError, ValueError, gaierror)
"""What goes wrong before anything reaches the tenant."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait: for a connection, for the next bytes, and for a whole answer; less where a deadline is near."""

    connect_s: float = 3.05
    read_s: float = 8.0
    total_s: float = 8.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. What may open a door (body, cookies) stays out of its repr."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    set_cookies: Sequence[str] = field(repr=False)

    def json(self) -> Any:  # noqa: ANN401 - whatever the tenant says; every caller checks it
        """Return the parsed body. Raises ValueError."""
        return parsed(self.body)


def parsed(body: bytes | str) -> Any:  # noqa: ANN401 - whatever the tenant says; every caller checks it
    """Return what a JSON text says. Raises ValueError, for NaN and texts nested too deep as well."""
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Wire:
    """One pool of connections for everybody; it keeps nothing of one caller for the next."""

    def __init__(self, patience: Patience | None = None, reach: Reach = ANYWHERE) -> None:
        self.patience = patience or Patience()
        self._adapter = _Bounded(self.patience, reach)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, document: object = None
    ) -> Answer:
        """Return the answer, whatever its status; *document* is sent as JSON.

        Raises TenantUnavailable, TenantTimeout, or TenantGarbled when the body is too large. None of them
        repeats what was sent.
        """
        try:
            return self._adapter.ask(method, url, dict(headers or {}), document)
        except (RequestException, HTTPError, OSError, ValueError) as error:
            raise failure(error) from None


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def tamed(session: Session, patience: Patience, reach: Reach = ANYWHERE) -> Session:
    """Make *session* keep to the rules of this file, and return it."""
    session.trust_env = False  # a netrc file would replace our Authorization
    session.get_redirect_target = _nowhere  # type: ignore[assignment, method-assign]  # not even parsed by the library
    jar = RequestsCookieJar()
    jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.cookies = jar
    session.headers.update(HEADERS)
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Bounded(patience, reach))
    return session


def _nowhere(_response: Response) -> None:
    """Say that no answer leads on: who must follow a redirect does so by hand."""


def read(response: Response) -> Answer:
    """Return what came through a tamed session, which keeps no cookies."""
    return Answer(response.status_code, response.headers, response.content, ())


@lru_cache(ADDRESSES)
def _prepared(url: str) -> PreparedRequest:
    """Return an address as the library would send it. Raises RequestException where it is none."""
    request = PreparedRequest()
    request.prepare_url(url, None)
    return request


def failure(error: Exception) -> TenantError:
    """Say in our words why there is no answer; by class names alone, because texts may quote what was sent."""
    if isinstance(error, TenantError):
        return error
    chain = causes(error)
    detail = " < ".join(type(cause).__name__ for cause in chain)
    late = isinstance(error, Timeout) or any(map(_is_late, chain))
    found = TenantTimeout(detail=detail) if late else TenantUnavailable(detail=detail)
    found.is_lost = not any(isinstance(each, BEFORE_IT_WAS_SENT) for each in chain)
    return found


def _is_late(error: BaseException) -> bool:
    is_too_slow = isinstance(error, ReadTimeoutError | ConnectTimeoutError)
    return is_too_slow and not isinstance(error, NewConnectionError)


def trust() -> ssl.SSLContext:
    """Return the certificates that our calls over HTTP trust, for those over other protocols."""
    return _trusting(DEFAULT_CA_BUNDLE_PATH)


@cache
def _trusting(authorities: str) -> ssl.SSLContext:
    """Read that file, which has more than a hundred certificates, once."""
    return ssl.create_default_context(cafile=authorities)


def causes(error: BaseException) -> Sequence[BaseException]:
    """Return an error and what led to it."""
    found: list[BaseException] = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) and len(found) < CONNECTIONS:
        found.append(cause)
    return found


class _Bounded(HTTPAdapter):
    """Reads each body here, within its limits, so that no library above can wait or grow without end."""

    def __init__(self, patience: Patience, reach: Reach) -> None:
        super().__init__(pool_connections=100, pool_maxsize=CONNECTIONS)
        self._reach = reach
        self.poolmanager.pool_classes_by_scheme = reach.pools()
        self._patience = patience

    def ask(self, method: str, url: str, headers: dict[str, str], document: object) -> Answer:
        """Ask without a session, what one would ask."""
        body = None
        if document is not None:
            body, headers["Content-Type"] = json.dumps(document, allow_nan=False).encode(), "application/json"
        for header in headers.items():
            check_header_validity(header)
        request = _prepared(url)
        with within(self._patience.total_s):
            connect_s, read_s = self._limits()
            limits = Limits(connect=connect_s, read=read_s)
            pool: Any = self.get_connection_with_tls_context(request, verify=True)
            self.cert_verify(pool, url, verify=True, cert=None)  # type: ignore[no-untyped-call]
            raw = pool.urlopen(
                method,
                request.path_url,
                body,
                HEADERS | headers,
                ONCE,
                redirect=False,
                assert_same_host=False,
                timeout=limits,
                preload_content=False,
                decode_content=False,
            )
            return Answer(raw.status, raw.headers, self._read(raw), raw.headers.getlist("Set-Cookie"))

    def send(self, request: PreparedRequest, *_: Any, **options: Any) -> Response:  # noqa: ANN401
        with within(self._patience.total_s):
            limits = self._limits()
            response = super().send(request, stream=True, timeout=limits, verify=options.get("verify", True))
            response.raw = io.BytesIO(self._read(response.raw))
            return response

    def _limits(self) -> tuple[float, float]:
        if left_s() <= 0:
            raise TenantTimeout(detail="no time left to ask")
        return at_most(self._patience.connect_s), at_most(self._patience.read_s)

    def _read(self, raw: BaseHTTPResponse) -> bytes:
        """Read as bytes come in: waiting for a full chunk would let a slow sender pass by the deadline."""
        body = bytearray()
        try:
            while chunk := raw.read1(CHUNK, decode_content=False):
                body += chunk
                if len(body) > MAX_BODY:
                    raise TenantGarbled(detail=f"a body of more than {MAX_BODY} bytes")
        except (HTTPError, OSError) as error:
            raw.close()
            raise failure(error) from None
        except TenantError:
            raw.close()
            raise
        return bytes(body)
