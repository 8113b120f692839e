"""The tenant's management client: Authlib's OAuth 2 session by client credentials."""

import threading
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from cachetools import LRUCache
from requests import RequestException, Response

from bridge.adapters.qlik_answers import minted, require_success
from bridge.adapters.qlik_proof import blame_the_proof, proof, token_endpoint
from bridge.adapters.reach import ANYWHERE, Reach
from bridge.adapters.wire import Answer, Patience, failure, read, tamed
from bridge.errors import TenantGarbled, TenantRefused
from bridge.model import Minted, OAuthClient, Tenant
from bridge.ports import Clock, SigningKeys

SCOPE = "admin_classic user_default"
CALL = "client_credentials"
MARGIN_S = 60.0
TENANTS = 256
DEAD = 401


class ManagementClient:
    """Reads a tenant's settings; each tenant's token is kept until shortly before its end."""

    def __init__(self, keys: SigningKeys, clock: Clock, patience: Patience, reach: Reach = ANYWHERE) -> None:
        self._keys = keys
        self._clock = clock
        self._patience = patience
        self._reach = reach
        self._kept: LRUCache[tuple[str, OAuthClient], tuple[OAuth2Session, float]] = LRUCache(TENANTS)
        self._guard = threading.Lock()

    def get(self, tenant: Tenant, path: str) -> Answer:
        """Return a successful answer. Raises a TenantError; TenantRefused too when there is no such client."""
        client = _named(tenant)
        session = self._session(tenant, client)
        try:
            answer = read(session.get(f"{tenant.host}{path}", allow_redirects=False))
        except (RequestException, OAuthError, ValueError) as error:
            raise failure(error) from None
        if answer.status == DEAD:
            with self._guard:
                self._kept.pop((tenant.host, client), None)
        require_success(path, answer, self._clock())
        return answer

    def renew(self, tenant: Tenant) -> None:
        """Sign in anew, whatever is kept. Raises as `get` does."""
        client = _named(tenant)
        with self._guard:
            self._kept.pop((tenant.host, client), None)
        self._session(tenant, client)

    def _session(self, tenant: Tenant, client: OAuthClient) -> OAuth2Session:
        with self._guard:
            session, until = self._kept.get((tenant.host, client), (None, 0.0))
        if session is None or self._clock() >= until:
            session = OAuth2Session(client.id, scope=SCOPE)
            until = self._sign_in(tamed(session, self._patience, self._reach), tenant, client).expires_at - MARGIN_S
            with self._guard:
                self._kept[tenant.host, client] = (session, until)
        return session

    def _sign_in(self, session: Any, tenant: Tenant, client: OAuthClient) -> Minted:  # noqa: ANN401 - untyped library
        """Give *session* a token (Qlik: POST /oauth/token, client_credentials)."""
        answers: list[Minted] = []

        def judge(response: Response) -> Response:
            """Come before Authlib, which knows neither Qlik's `errors[]` nor its ISO `expires_at`."""
            require_success(CALL, read(response), self._clock())
            answers.append(minted(CALL, read(response), asked_scope=SCOPE, now=self._clock()))
            return response

        session.register_compliance_hook("access_token_response", judge)
        fields = proof(tenant, client, self._keys, self._clock())
        try:
            session.fetch_token(
                token_endpoint(tenant), grant_type=CALL, auth=_in_the_body, allow_redirects=False, **fields
            )
        except TenantRefused as refusal:
            raise blame_the_proof(refusal, client) from None
        except (OAuthError, TypeError):
            raise TenantGarbled(detail=f"{CALL}: not the form of a token") from None
        except (RequestException, ValueError) as error:
            raise failure(error) from None
        session.token = {"access_token": answers[0].value, "token_type": "bearer"}  # its end is ours to watch
        return answers[0]


def _named(tenant: Tenant) -> OAuthClient:
    if tenant.management_client is None:
        raise TenantRefused(detail=f"tenant {tenant.slug} has no management client")
    return tenant.management_client


def _in_the_body(request: Any) -> Any:  # noqa: ANN401 - requests' hook
    """Leave the request alone: the proof is among its fields already."""
    return request
