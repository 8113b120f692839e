"""Posts to webhooks: https, or loopback where the bridge itself is on loopback; no redirect is followed."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from requests import RequestException, Session

from bridge.adapters.wire import Patience, failure, tamed
from bridge.errors import TenantRefused
from bridge.texts import is_loopback
from bridge.webhooks import Webhook

PATIENCE = Patience(connect_s=3.05, read_s=5.0, total_s=8.0)


class HttpWebhooks:
    """Implements ports.watching.WebhookSender. The answer's body is read within limits, and thrown away."""

    def __init__(self, *, loopback: bool, patience: Patience = PATIENCE) -> None:
        self._loopback = loopback
        self._session = tamed(Session(), patience)

    def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        if not self._loopback and is_loopback(urlsplit(webhook.url).hostname):
            raise TenantRefused(detail="a webhook on loopback is for a bridge on loopback alone")
        try:
            response = self._session.post(webhook.url, data=body, headers=headers, allow_redirects=False)
        except (RequestException, ValueError) as error:
            raise failure(error) from None
        return response.status_code
