"""Posting to a webhook over a real socket."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from pydantic import SecretStr

from bridge.adapters.reach import ANYWHERE, Reach
from bridge.adapters.webhook import HttpWebhooks
from bridge.adapters.wire import Patience
from bridge.errors import TenantError, TenantTimeout, TenantUnavailable
from bridge.webhooks import Webhook


class Receiver(BaseHTTPRequestHandler):
    heard: ClassVar[list[tuple[str, bytes, dict[str, str]]]]
    status = 204
    hold = threading.Event()
    wait_s = 0.0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append((self.path, body, dict(self.headers)))
        self.hold.wait(self.wait_s)
        self.send_response(self.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[tuple[type[Receiver], Webhook]]:
    class Mine(Receiver):
        heard: ClassVar[list[tuple[str, bytes, dict[str, str]]]] = []
        hold = threading.Event()

    server = HTTPServer(("127.0.0.1", 0), Mine)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/hook?x=1"
    yield Mine, Webhook(url=url, secret=SecretStr("hush" * 5))
    Mine.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_body_arrives_as_it_was_signed(receiver: tuple[type[Receiver], Webhook]) -> None:
    handler, webhook = receiver
    status = HttpWebhooks(reach=ANYWHERE).post(webhook, b'{"a": "\xc3\xa4"}', {"Bridge-Signature": "v1=00"})

    [(path, body, headers)] = handler.heard
    assert (status, path, body) == (204, "/hook?x=1", b'{"a": "\xc3\xa4"}')
    assert headers["Bridge-Signature"] == "v1=00"
    assert "Cookie" not in headers


def test_no_redirect_is_followed(receiver: tuple[type[Receiver], Webhook]) -> None:
    handler, webhook = receiver
    handler.status = 307

    assert HttpWebhooks(reach=ANYWHERE).post(webhook, b"{}", {}) == 307
    assert len(handler.heard) == 1


def test_loopback_is_refused_to_a_bridge_elsewhere(receiver: tuple[type[Receiver], Webhook]) -> None:
    handler, webhook = receiver
    with pytest.raises(TenantUnavailable, match="not public"):
        HttpWebhooks(reach=Reach()).post(webhook, b"{}", {})
    assert handler.heard == []


def test_one_that_hangs_is_given_up(receiver: tuple[type[Receiver], Webhook]) -> None:
    handler, webhook = receiver
    handler.wait_s = 10
    with pytest.raises(TenantTimeout):
        HttpWebhooks(reach=ANYWHERE, patience=Patience(1, 0.2, 1)).post(webhook, b"{}", {})


def test_one_that_is_away_says_nothing_of_the_address() -> None:
    webhook = Webhook(url="http://127.0.0.1:9/T0P-s3cret-path", secret=SecretStr("hush" * 5))
    with pytest.raises(TenantUnavailable) as caught:
        HttpWebhooks(reach=ANYWHERE).post(webhook, b"{}", {})
    error: TenantError = caught.value
    assert "s3cret" not in error.detail + error.message
