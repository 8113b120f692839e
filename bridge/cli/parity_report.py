"""Parity written down: HTML for the people who decide, JSON for machines. Both hold counts and names, no values."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from bridge.bootstrap import Bridge
from bridge.evidence import Area, Check, Outcome, ParityResult, Verdict
from bridge.services.parity_people import LeftOut

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference or gap, and everybody who has it."""

    area: str
    item: str
    verdict: str
    why: str
    ignored: str
    subjects: Sequence[str]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found; *run* of 0 stands for all that is stored."""

    bridge: Bridge
    slug: str
    run: float
    results: Sequence[ParityResult]
    left_out: Sequence[LeftOut]

    def summary(self) -> dict[str, int]:
        """Return the number of people by outcome, and of those left out."""
        counts = {each.value: sum(result.outcome is each for result in self.results) for each in Outcome}
        return {**counts, "left_out": len(self.left_out)}

    def differences(self) -> list[Finding]:
        return self._grouped(lambda check: check.is_open)

    def ignored(self) -> list[Finding]:
        return self._grouped(lambda check: bool(check.ignored))

    def gaps(self) -> list[Finding]:
        """Return what could not be checked; areas that one cause hides from the same people share a line."""
        apart = self._grouped(lambda check: check.verdict is Verdict.NOT_CHECKED and not check.ignored)
        found: dict[tuple[str, str, tuple[str, ...]], Finding] = {}
        for each in apart:
            key = (each.item, each.why, tuple(each.subjects))
            area = f"{found[key].area}, {each.area}" if key in found else each.area
            found[key] = replace(each, area=area)
        return list(found.values())

    def _grouped(self, wanted: Callable[[Check], bool]) -> list[Finding]:
        """Return what the wanted checks say: most people first, then causes before symptoms."""
        found: defaultdict[tuple[str, str, str, str, str], list[str]] = defaultdict(list)
        for result in self.results:
            for check in filter(wanted, result.checks):
                key = (check.area.value, check.item, check.verdict.value, check.why, check.ignored)
                found[key].append(result.sub)
        findings = [Finding(*key, subjects=subjects) for key, subjects in found.items()]
        return sorted(findings, key=lambda each: (-len(each.subjects), list(Area).index(Area(each.area)), each.item))


def as_json(report: Report) -> str:
    """Return the whole report as machines read it."""
    document = {
        "tenant": report.slug,
        "made_at": report.bridge.clock(),
        "run": report.run,
        "summary": report.summary(),
        "differences": [asdict(each) for each in report.differences()],
        "results": [_document(result) for result in report.results],
        "left_out": [asdict(each) for each in report.left_out],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_html(report: Report) -> str:
    """Return one page that needs nothing else: no script, no font, no other host."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    tenant = report.bridge.tenants.get(report.slug).tenant
    moments = [result.baseline_at for result in report.results if result.baseline_at is not None]
    return environment.get_template("parity.html").render(
        report=report,
        tenant=tenant,
        made_at=report.bridge.clock(),
        summary=report.summary(),
        baselines=(min(moments), max(moments)) if moments else None,
        by_outcome={each.value: [one for one in report.results if one.outcome is each] for each in Outcome},
    )


def _document(result: ParityResult) -> dict[str, Any]:
    return {
        "sub": result.sub,
        "outcome": result.outcome.value,
        "compared_at": result.compared_at,
        "baseline_at": result.baseline_at,
        "checks": [asdict(check) for check in result.checks],
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
