"""What every part of the bench stands on."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.load import Measured, Target

WARM_UP_S = 1


class NotMeasured(Exception):
    """Something that a part needs is not here, or did not answer; the message says what."""


@dataclass(frozen=True)
class Ground:
    """A folder for what the parts write, and how long and how often each thing is measured."""

    home: Path
    seconds: int
    rounds: int

    def folder(self, name: str) -> Path:
        (made := self.home / name).mkdir(parents=True)
        return made

    def warm_up(self, target: Target) -> None:
        load.run(target, WARM_UP_S, self.home)

    def run(self, target: Target) -> Measured:
        found = load.run(target, self.seconds * target.turns, self.home)
        if not found.requests:
            raise NotMeasured(f"{target.name}: nothing was answered in {self.seconds} s; give more --seconds")
        say(f"{target.name}: {found.per_s:,.0f}/s, p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms")
        return found

    def in_turns(self, targets: Sequence[Target]) -> dict[str, Measured]:
        """Measure one after the other, again and again, so that noise meets all alike; return the medians."""
        runs: defaultdict[str, list[Measured]] = defaultdict(list)
        for target in targets:
            self.warm_up(target)
        for number in range(self.rounds):
            say(f"round {number + 1} of {self.rounds}")
            for target in targets:
                runs[target.name].append(self.run(target))
        return {name: Measured.median(each) for name, each in runs.items()}


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def percentile(values: Iterable[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
