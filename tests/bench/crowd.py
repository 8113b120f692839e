"""People who come for a token, and come again when they were told to: many at a time, from one thread."""

import asyncio
import heapq
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from urllib.parse import urlsplit

from bench.ground import NotMeasured

AGAIN_S = 0.5
"""When somebody comes again to whom nothing was said, or whose connection broke."""
OK = 200
HEAD = "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Visit:
    """One person: when they came first, what they were told, and what they got. Times are of the monotonic clock."""

    bearer: str
    due: float = 0
    came: float = 0
    got: float = 0
    token: bytes = b""
    token_id: str = ""
    told_s: list[float] = field(default_factory=list)
    not_told: int = 0
    """Answers that were no token, and named no time to come back."""
    broken: int = 0

    @property
    def is_served(self) -> bool:
        return bool(self.got)

    @property
    def waited_s(self) -> float:
        return self.got - self.came


@dataclass
class Crowd:
    """All of them, over so many connections that are kept open.

    At most so many are here *together*: the next one comes when one is served.
    """

    addresses: Sequence[str]
    visits: Sequence[Visit]
    connections: int
    together: int | None = None
    is_over: threading.Event = field(default_factory=threading.Event)
    served: int = 0

    def run(self, give_up_s: float) -> None:
        """Return when everybody was served, or the time is up, or it is over."""
        self._give_up_at = time.monotonic() + give_up_s
        everybody = iter([(visit.due, number) for number, visit in enumerate(self.visits)])
        self._coming = list(islice(everybody, self.together))
        self._later = everybody
        heapq.heapify(self._coming)
        asyncio.run(self._run())

    async def _run(self) -> None:
        here: asyncio.Queue[int] = asyncio.Queue()
        doors = [
            asyncio.create_task(self._door(at, here)) for at, _ in zip(cycle(self.addresses), range(self.connections))
        ]
        while self.served < len(self.visits) and not self.is_over.is_set() and time.monotonic() < self._give_up_at:
            while self._coming and self._coming[0][0] <= time.monotonic():
                here.put_nowait(heapq.heappop(self._coming)[1])
            await asyncio.sleep(0.005)
        for door in doors:
            door.cancel()
        await asyncio.gather(*doors, return_exceptions=True)
        await asyncio.sleep(0)  # connections that were hung up close in the next turn

    async def _door(self, address: str, here: "asyncio.Queue[int]") -> None:
        line = _Line(address)
        try:
            while True:
                await self._welcome(line, await here.get())
        finally:
            line.hang_up()

    async def _welcome(self, line: "_Line", number: int) -> None:
        visit = self.visits[number]
        visit.came = visit.came or time.monotonic()
        try:
            again_s = _heard(visit, *await line.ask(visit.bearer))
        except (OSError, EOFError):
            visit.broken += 1
            line.hang_up()
            again_s = AGAIN_S
        if visit.is_served:
            self.served += 1
            for one in islice(self._later, 1):
                heapq.heappush(self._coming, one)
        else:
            heapq.heappush(self._coming, (time.monotonic() + again_s, number))


def _heard(visit: Visit, status: int, headers: dict[str, str], body: bytes) -> float:
    """Note an answer, and return in how many seconds the person comes again."""
    if status == OK:
        visit.got, visit.token, visit.token_id = time.monotonic(), body, headers.get("token-id", "")
        return 0
    if told := headers.get("retry-after"):
        visit.told_s.append(float(told))
        return float(told)
    visit.not_told += 1
    return AGAIN_S


class _Line:
    """A connection that is kept open."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, bearer: str) -> tuple[int, dict[str, str], bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(HEAD.format(path=self._path, host=f"{self._host}:{self._port}", bearer=bearer).encode())
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.hang_up()
        return int(first.split(" ")[1]), headers, body

    def hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def serve_all(address: str, bearers: Sequence[str]) -> None:
    """Get everybody their first token, so that what follows is warm."""
    crowd = Crowd([address], [Visit(bearer) for bearer in bearers], connections=4)
    crowd.run(give_up_s=60)
    if crowd.served < len(bearers):
        raise NotMeasured(f"{len(bearers) - crowd.served} of {len(bearers)} people got no first token in a minute")


@contextmanager
def asking(address: str, bearers: Sequence[str], together: int) -> Iterator[Sequence[Visit]]:
    """Let so many people together ask for their first token while the block lasts, each until they have it."""
    crowd = Crowd([address], [Visit(bearer) for bearer in bearers], together, together)
    thread = threading.Thread(target=crowd.run, args=(600,))
    thread.start()
    try:
        yield crowd.visits
    finally:
        crowd.is_over.set()
        thread.join()


def arriving(bearers: Sequence[str], within_s: float) -> list[Visit]:
    """Let people come evenly within so many seconds, beginning now."""
    now = time.monotonic()
    return [Visit(bearer, now + within_s * number / len(bearers)) for number, bearer in enumerate(bearers)]
