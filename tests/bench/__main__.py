"""`python -m bench [--only PART ...] [--seconds 3] [--rounds 3] [--out docs]`: measure, and write the page."""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from storykit import ROOT

from bench import (
    page,
    part_calls,
    part_cold,
    part_growth,
    part_memory,
    part_morning,
    part_servers,
    part_shadow,
    part_tokens,
)
from bench.ground import Ground, say
from bench.page import Results, Section

PARTS: Mapping[str, Callable[[Ground], Section]] = {
    "tokens": part_tokens.measure,
    "cold": part_cold.measure,
    "calls": part_calls.measure,
    "morning": part_morning.measure,
    "memory": part_memory.measure,
    "growth": part_growth.measure,
    "servers": part_servers.measure,
    "shadow": part_shadow.measure,
}
MISSED, INCOMPLETE = 1, 2


def main() -> int:
    """Return 0 when every target is met, 1 when one is missed, 2 when a part could not be measured."""
    options = _options()
    began, loads = time.monotonic(), os.getloadavg()
    sections, failures = [], {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        ground = Ground(Path(folder), options.seconds, options.rounds)
        for name in options.only or PARTS:
            say(f"--- {name}, after {(time.monotonic() - began) / 60:.1f} min")
            try:
                sections.append(PARTS[name](ground))
            except Exception as failure:  # noqa: BLE001 - the other parts are measured all the same
                traceback.print_exc()
                failures[name] = (str(failure).splitlines() or [type(failure).__name__])[0][:200]
    failures |= {section.title: section.missing for section in sections if section.missing}
    results = Results(sections, failures, options.seconds, options.rounds, time.monotonic() - began, loads)
    _tell(results, options.out or (None if options.only else ROOT / "docs"))
    if failures:
        return INCOMPLETE
    return 0 if all(target.is_met for section in sections for target in section.targets) else MISSED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="parts to measure; the page is not written then")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is taken")
    parser.add_argument("--out", type=Path, help="where to write the page, also with --only")
    return parser.parse_args()


def _tell(results: Results, out: Path | None) -> None:
    """End with the table of targets."""
    if out is not None:
        page.write(out, results)
        say(f"{out / 'benchmarks.md'} written after {results.took_s / 60:.1f} min")
    else:
        sys.stdout.write("\n".join(line for section in results.sections for line in section.text) + "\n\n")
    sys.stdout.write("\n".join(page.targets(results)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
