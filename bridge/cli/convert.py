"""`qlik-bridge convert`: old frames in pages and templates become Qlik's web components."""

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from bridge.cli import files
from bridge.cli.common import json_option, print_json, print_table
from bridge.errors import EXIT_REFUSED
from bridge.services.frames import MASK
from bridge.services.pages import Fate, Finding, look, rewrite, with_script
from bridge.telemetry import redact

WORDS = {
    Fate.CONVERTED: "converted",
    Fate.DIFFERENT: "converted with a difference",
    Fate.NONE: "no equivalent",
    Fate.BY_HAND: "by hand",
    Fate.NOT_LOOKED_AT: "not looked at",
}
REPLACED = {Fate.CONVERTED, Fate.DIFFERENT}
TOKEN = re.compile(r"""((?:token|jwt|secret|password|api-?key)=)(?![{<$])[^&"'\s<>#]+""", re.IGNORECASE)
SCRIPT = re.compile(r"(?:https?://|/)[^\s\"'<>&]+")
USERINFO = re.compile(r"""(?<=//)[^/@\s"'<>]+(?=@)""")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Converted:
    """A page before and after; `script` tells whether our script is `added`, `there`, `needed` or not asked for."""

    page: files.Page
    text: str
    findings: Sequence[Finding]
    script: str

    @property
    def is_changed(self) -> bool:
        return self.text != self.page.text


def _checked_script(_context: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    if url is not None and not SCRIPT.fullmatch(url):
        raise click.BadParameter("give an address like https://bridge.example.com/t/acme/embed.js")
    return url


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--write", is_flag=True, help="Replace the files; without it nothing is changed.")
@click.option("--check", is_flag=True, help="Exit 1 when --write would change a file.")
@click.option("--script", metavar="URL", callback=_checked_script, help="Add this embed.js to pages that got embeds.")
@json_option
def convert(*, paths: tuple[Path, ...], write: bool, check: bool, script: str | None, as_json: bool) -> None:
    """Replace /single/ and /sense/app/ frames in pages and templates (PATHS: files or folders) by <qlik-embed>."""
    if write and check:
        raise click.UsageError("--write and --check exclude each other.")
    skipped: dict[str, str] = {}
    pages = list(_converted(paths, script, skipped))
    written = [each for each in pages if write and each.is_changed and _is_written(each, skipped)]
    (_tell_json if as_json else _tell)(pages, written, skipped)
    if not pages or len(written) < sum(each.is_changed for each in pages if write or check):
        raise SystemExit(EXIT_REFUSED)


def _converted(paths: Sequence[Path], script: str | None, skipped: dict[str, str]) -> Iterator[Converted]:
    def refused(problem: OSError) -> None:
        skipped[_shown(str(problem.filename))] = files.reason(problem)

    for path in dict.fromkeys(files.find(paths, refused)):
        try:
            page = files.read(path)
        except files.Skipped as reason:
            skipped[_shown(str(path))] = str(reason)
            continue
        yield _convert(page, script)


def _convert(page: files.Page, script: str | None) -> Converted:
    made = look(page.text) if page.is_code else rewrite(page.text)
    if made.text == page.text:
        return Converted(page, made.text, made.findings, "")
    whole = with_script(made.text, script) if script else None
    if whole is None:
        return Converted(page, made.text, made.findings, "needed")
    return Converted(page, whole, made.findings, "there" if whole == made.text else "added")


def _is_written(each: Converted, skipped: dict[str, str]) -> bool:
    try:
        files.replace(each.page, each.text)
    except files.Skipped as reason:
        skipped[_name(each)] = str(reason)
        return False
    return True


# --- telling --------------------------------------------------------------------------------------------


def _tell(pages: Sequence[Converted], written: Sequence[Converted], skipped: Mapping[str, str]) -> None:
    for each in pages:
        click.echo("".join(f"{line}\n" for line in _diff(each)), nl=False)
    rows = [(_name(each), *_row(finding)) for each in pages for finding in _in_order(each)]
    if rows:
        print_table(["file", "line", "verdict", "what to know"], rows)
    for name, why in skipped.items():
        click.echo(f"skipped {name}: {why}", err=True)
    for line in _ending(pages, written):
        click.echo(line)


def _diff(each: Converted) -> Iterator[str]:
    """Yield a diff for people: tokens in it are masked, and control characters are shown as question marks."""
    old, new = (text.split("\n") for text in (each.page.text, each.text))
    name = str(each.page.path)
    for line in difflib.unified_diff(old, new, name, name, lineterm=""):
        yield _shown(TOKEN.sub(rf"\1{MASK}", line.removesuffix("\r")))


def _row(finding: Finding) -> tuple[str, str, str]:
    return str(finding.line), WORDS[finding.fate], _shown("; ".join(_remarks(finding)))


def _remarks(finding: Finding) -> Iterator[str]:
    if finding.why:
        yield finding.why
    for each in finding.differences:
        yield f"{each.name}={each.value} {each.why}" if each.value else f"{each.name} {each.why}"


def _ending(pages: Sequence[Converted], written: Sequence[Converted]) -> Iterator[str]:
    counts = _counts(pages)
    changed = sum(each.is_changed for each in pages)
    if not counts:
        yield f"No frames of Qlik in {len(pages)} files."
        return
    summary = ", ".join(f"{count} {WORDS[fate]}" for fate, count in counts.items())
    yield f"{summary}; {changed} of {len(pages)} files change, {len(written)} written."
    origins = sorted({finding.origin for each in pages for finding in each.findings if finding.fate in REPLACED} - {""})
    if len(origins) > 1:
        yield f"The frames lead to {', '.join(map(_shown, origins))}; one page shows one tenant."
    if changed and not written:
        yield "Nothing is written yet: look at the diff, then add --write."
    if needing := [_name(each) for each in pages if each.script == "needed"]:
        script = '<script src="https://BRIDGE/t/TENANT/embed.js" defer></script>'
        yield f"The page around each embed needs {script} in its head: {', '.join(needing)}"


def _counts(pages: Sequence[Converted]) -> Mapping[Fate, int]:
    found = Counter(finding.fate for each in pages for finding in each.findings)
    return {fate: found[fate] for fate in Fate if found[fate]}


def _in_order(each: Converted) -> list[Finding]:
    return sorted(each.findings, key=lambda finding: finding.line)


def _name(each: Converted) -> str:
    return _shown(str(each.page.path))


def _shown(text: str) -> str:
    """Return text fit for any terminal and JSON: no credential, no control character, no broken encoding."""
    valid = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return CONTROL.sub("?", USERINFO.sub(MASK, redact(valid)))


def _tell_json(pages: Sequence[Converted], written: Sequence[Converted], skipped: Mapping[str, str]) -> None:
    print_json(
        {
            "files": [_document(each, is_written=each in written) for each in pages],
            "skipped": [{"file": name, "why": why} for name, why in skipped.items()],
            "counts": {fate.value: count for fate, count in _counts(pages).items()},
            "written": len(written),
        }
    )


def _document(each: Converted, *, is_written: bool) -> Mapping[str, object]:
    frames = [
        {
            "line": finding.line,
            "verdict": finding.fate.value,
            "why": finding.why,
            "origin": _shown(finding.origin),
            "differences": [
                {"name": _shown(part.name), "value": _shown(part.value), "why": part.why}
                for part in finding.differences
            ],
        }
        for finding in _in_order(each)
    ]
    changed = {"changed": each.is_changed, "written": is_written, "script": each.script}
    return {"file": _name(each), **changed, "frames": frames}
