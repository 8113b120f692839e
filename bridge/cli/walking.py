"""A long walk over many people at a terminal: a bar with rate and end, waits with their reason, and Ctrl-C."""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from bridge.errors import BudgetSpent, TenantError, TenantThrottled

IN_A_ROW = 10
"""When so many people in a row got no answer, an outage is no short one: the others are not asked."""
SPEED_OVER_S = 600.0
"""The rate is that of the last ten minutes: two windows, because a lane is spent in bursts."""
ENDINGS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what stops a job that runs by itself."""
ENOUGH_TO_TELL = 2
"""One person alone makes no rate."""
LINE_EVERY_S = 60.0
"""Where nobody looks at a bar, a line tells how far it is, this often."""


class Patience:
    """Sleeps that end with Ctrl-C, which a person's login and token in flight do not: what was paid for is kept.

    A second Ctrl-C ends everything at once.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()

    @contextmanager
    def until_interrupted(self) -> Iterator[None]:
        before = {each: signal.signal(each, self._note) for each in ENDINGS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises KeyboardInterrupt after Ctrl-C."""
        if self._stop.wait(seconds):
            raise KeyboardInterrupt

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._stop.set()


class _RateAndEnd(ProgressColumn):
    """How many people a minute, and when the last one is done."""

    max_refresh = 1.0

    def __init__(self, told: Callable[[], str]) -> None:
        super().__init__()
        self._told = told

    def render(self, _task: Task) -> Text:
        return Text(self._told())


class Walk:
    """The bar of one walk, or lines where standard error is no terminal."""

    def __init__(self, name: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        console = Console(stderr=True)
        self._name = name
        self._clock = clock
        self._is_bar = console.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _RateAndEnd(self.rate_and_end))
        self._progress = Progress(*columns, console=console, disable=not self._is_bar)
        self._task = self._progress.add_task(name, total=total)
        self._began_at = clock()
        self._line_at = float("-inf")
        self._paid_at: deque[float] = deque()
        self._waits_until = float("-inf")

    @contextmanager
    def showing(self) -> Iterator[None]:
        with self._progress:
            yield

    def advance(self, *, is_free: bool = False) -> None:
        """Note that one more is done; *is_free*: it took no call, so it says nothing of how fast the others go."""
        if not is_free:
            self._paid_at.append(self._clock())
        self._progress.update(self._task, advance=1, description=self._name)
        if self._clock() - max(self._began_at, self._line_at) >= LINE_EVERY_S:
            self._line()

    def waiting(self, failure: TenantError, seconds: float) -> None:
        """Tell why nothing happens for so long."""
        self._waits_until = self._clock() + seconds
        told = f"waits {seconds:.0f} s: {_why(failure)}"
        self._progress.update(self._task, description=f"{self._name} {told}")
        if self._clock() - self._line_at >= LINE_EVERY_S:
            self._line(told)

    def _line(self, told: str = "") -> None:
        if self._is_bar:
            return
        self._line_at = self._clock()
        task = self._progress.tasks[0]
        far = f"{self._name}: {task.completed:,.0f} of {task.total:,.0f}"
        click.echo(", ".join(filter(None, [far, self.rate_and_end(), told])), err=True)

    def rate_and_end(self, now: Callable[[], datetime] = datetime.now) -> str:
        """Return the rate and the time of the end in words; "" while nobody knows.

        A wait counts as soon as it is known: without it, who spent the lane in a burst would be done at once.
        """
        since = max(self._began_at, self._clock() - SPEED_OVER_S)
        while self._paid_at and self._paid_at[0] < since:
            self._paid_at.popleft()
        took_s = max(self._clock(), self._waits_until) - since
        if len(self._paid_at) < ENOUGH_TO_TELL or took_s <= 0:
            return ""
        rate, task = len(self._paid_at) / took_s, self._progress.tasks[0]
        end = now() + timedelta(seconds=((task.total or 0) - task.completed) / rate)
        return f"{rate * 60:,.0f}/min until {end:%H:%M}"


def _why(failure: TenantError) -> str:
    if isinstance(failure, BudgetSpent):
        return "the pre-warm lane is spent"
    if isinstance(failure, TenantThrottled):
        return "the tenant asks us to slow down"
    return "the tenant does not answer"
