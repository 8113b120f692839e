"""Posts to webhooks: https, or loopback where that is within reach; no redirect is followed."""

from collections.abc import Mapping

from requests import RequestException, Session

from bridge.adapters.reach import Reach
from bridge.adapters.wire import Patience, failure, tamed
from bridge.webhooks import Webhook

PATIENCE = Patience(connect_s=3.05, read_s=5.0, total_s=8.0)


class HttpWebhooks:
    """Implements ports.watching.WebhookSender. The answer's body is read within limits, and thrown away."""

    def __init__(self, *, reach: Reach, patience: Patience = PATIENCE) -> None:
        self._session = tamed(Session(), patience, reach)

    def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        try:
            response = self._session.post(webhook.url, data=body, headers=headers, allow_redirects=False)
        except (RequestException, ValueError) as error:
            raise failure(error) from None
        return response.status_code
