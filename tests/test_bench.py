"""The bench's own parts, where they could be wrong unseen: the crowd that obeys, and the table at the end."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from bench.crowd import Crowd, arriving
from bench.page import Results, Section, Target, lines


class Door(BaseHTTPRequestHandler):
    """Sends everybody away once, for a second, and gives them a token then."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        who = self.headers["Authorization"]
        is_known = who in self.seen
        self.seen.add(who)
        self.send_response(200 if is_known else 503)
        self.send_header("Content-Length", str(len(who)))
        if not is_known:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(who.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def door() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    server.server_close()


def test_a_crowd_comes_back_when_it_was_told_to(door: str) -> None:
    crowd = Crowd([door], arriving([f"Bearer {number}" for number in range(30)], 0), connections=4)
    crowd.run(give_up_s=30)

    assert crowd.served == 30
    assert [visit.token.decode() for visit in crowd.visits] == [visit.bearer for visit in crowd.visits]
    assert {tuple(visit.told_s) for visit in crowd.visits} == {(1.0,)}
    assert all(1 <= visit.waited_s < 20 for visit in crowd.visits)


def test_the_table_says_what_was_missed_by_how_much_and_what_was_not_measured() -> None:
    targets = [Target("speed", "≥", 4, "x", 3, why="Slow."), Target("wait", "=", 0, "s", 0)]
    results = Results([Section("A part", ["Text."], targets)], {"memory": "no worker"}, 3, 3, 60, (0.1, 0.2, 0.3))

    page = list(lines(results))

    assert "| speed | ≥ 4 x | 3 x | **missed** by 25 % |" in page
    assert "| wait | = 0 s | 0 s | met |" in page
    assert "| memory | | | **not measured**: no worker |" in page
    assert "- Slow." in page
