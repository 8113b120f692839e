"""How a long run over people shows itself: a bar in a terminal, a line for each long wait elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from bridge.services.parity_runs import Pace

LONG_S = 10.0
"""A wait that is worth a line where there is no bar."""


class Bar:
    """How many people are done, what the run waits for, and how long it will take."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self) -> None:
        self._progress.update(self._task, advance=1, until=0.0)

    def wait(self, seconds: float) -> None:
        """Say that the budget has no call left for so long, or that the tenant asked for it."""
        self._progress.update(self._task, until=time.monotonic() + seconds)
        if self._progress.disable and seconds >= LONG_S:
            click.echo(f"Waiting {seconds:.0f} s for the budget.", err=True)


@contextmanager
def bar(name: str, pace: Pace, *, done: int, total: int) -> Iterator[Bar]:
    """Show a bar while the run goes on; *done* people were compared before."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Left(pace))
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bar(progress, progress.add_task(name, total=total, completed=done, before=done, until=0.0))


class _Left(ProgressColumn):
    """What is left: the pace and the budget's waits, and the wait of this moment."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        wait_s = max(0.0, task.fields["until"] - time.monotonic())
        waiting = f"waiting {wait_s:.0f} s for the budget, " if wait_s else ""
        done, people = (int(count - task.fields["before"]) for count in (task.completed, task.total or 0))
        return Text(f"{waiting}{duration(self._pace.left_s(done, people) + wait_s)} left")


def duration(seconds: float) -> str:
    """Return a time that nobody takes for exact."""
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"  # noqa: PLR2004 - from there on
