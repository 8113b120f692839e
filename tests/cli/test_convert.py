"""`qlik-bridge convert` on a folder of varied pages: what it says, what it changes, and that nothing else changes."""

import errno
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.cli import files, main

PAGES = Path(__file__).parents[1] / "pages"
FRAMES = {  # page -> line:verdict of each frame, and of each line that looks like one
    "Chart.vue": "2:by_hand 3:by_hand",
    "board.django.html": "3:not_looked_at 6:by_hand 7:by_hand 8:different",
    "bom.html": "2:different",
    "card.html.twig": "3:different",
    "closing.html": "2:different 4:different 5:converted 6:different 7:by_hand 8:by_hand",
    "crlf.html": "8:different 13:converted",
    "dashboard.html.erb": "2:converted 4:not_looked_at 5:different",
    "hidden.html": "3:not_looked_at 4:not_looked_at 6:not_looked_at 11:not_looked_at 13:not_looked_at"
    " 15:not_looked_at 16:not_looked_at 17:by_hand 18:by_hand 20:converted",
    "latin1.html": "4:different",
    "lazy.html": "6:converted 7:different 10:not_looked_at",
    "multiline.html": "2:different",
    "none.html": "1:none 2:none 3:none 4:none 5:none",
    "options.html": "1:different 2:different 3:different 4:different",
    "other_sites.html": "",
    "page.tmpl": "3:converted 5:by_hand",
    "plain.html": "10:converted 11:different",
    "portal.php": "3:not_looked_at 9:different 11:different 12:by_hand 13:not_looked_at",
    "report.jinja2": "2:not_looked_at 5:different 7:different 9:different 10:by_hand 11:by_hand 12:by_hand"
    " 13:not_looked_at 15:by_hand",
    "selections.html": "2:different 3:different 4:different 5:converted",
    "sheets.html": "2:converted 3:converted 4:converted 5:different",
    "unquoted.htm": "3:converted 4:converted",
    "vue.html": "2:by_hand 3:by_hand 4:by_hand 5:by_hand 6:by_hand 7:by_hand",
}
GOOD = {"converted", "different"}
OLD = re.compile(rb"<iframe\b.*?(?:</iframe\s*>|/>)", re.DOTALL | re.IGNORECASE)
NEW = re.compile(
    rb"(?:<qlik-initial-selections .*?</qlik-initial-selections>\s*)?"
    rb"(?:<qlik-embed ui=\"analytics/selections\"[^>]*></qlik-embed>\s*)?"
    rb"<(span|div) [^\n]*>\s*<qlik-embed ui=[^\n]*></qlik-embed>\s*</\1>",
    re.DOTALL,
)


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401 - whatever the command prints
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def convert(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """No setting is there: the command needs none."""
    for name in [name for name in os.environ if name.startswith("BRIDGE_")]:
        monkeypatch.delenv(name)

    def command(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["qlik-bridge", "convert", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as ending:
            code = int(ending.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "site"
    made.mkdir()
    for name in FRAMES:
        shutil.copyfile(PAGES / name, made / name)
    return made


def page(folder: Path, text: str = "", name: str = "page.html") -> Path:
    made = folder / name
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(text or '<iframe src="/single/?appid=a&obj=b" width="1" height="1"></iframe>\n')
    return made


# --- the twenty pages ------------------------------------------------------------------------------------


def test_every_page_is_expected() -> None:
    assert {path.name for path in PAGES.iterdir() if path.is_file() and path.name[0] != "."} == set(FRAMES)
    assert len(FRAMES) >= 20


def test_the_table_says_what_is_convertible(convert: Run, folder: Path) -> None:
    told = convert(folder, "--json")
    found = {
        Path(each["file"]).name: " ".join(f"{frame['line']}:{frame['verdict']}" for frame in each["frames"])
        for each in told.json()["files"]
    }

    assert told.code == 0
    assert found == FRAMES


def test_nothing_is_changed_without_being_told(convert: Run, folder: Path) -> None:
    convert(folder)

    assert all((folder / name).read_bytes() == (PAGES / name).read_bytes() for name in FRAMES)


@pytest.mark.parametrize("name", FRAMES)
def test_a_page_becomes_the_expected_one(convert: Run, folder: Path, name: str) -> None:
    expected = PAGES / "converted" / name
    told = convert(folder / name, "--write", "--json").json()

    assert (folder / name).read_bytes() == (expected if expected.exists() else PAGES / name).read_bytes()
    assert told["written"] == expected.exists() == ("converted" in FRAMES[name] or "different" in FRAMES[name])


@pytest.mark.parametrize("name", FRAMES)
def test_all_bytes_outside_of_replaced_frames_stay(convert: Run, folder: Path, name: str) -> None:
    old = (PAGES / name).read_bytes()
    replaced = {int(line) for line, fate in (each.split(":") for each in FRAMES[name].split()) if fate in GOOD}

    def marked(match: re.Match[bytes]) -> bytes:
        return b"@" if old.count(b"\n", 0, match.start()) + 1 in replaced else match[0]

    convert(folder / name, "--write")

    assert NEW.sub(b"@", (folder / name).read_bytes()) == OLD.sub(marked, old)


@pytest.mark.parametrize("name", FRAMES)
def test_a_second_run_changes_nothing(convert: Run, folder: Path, name: str) -> None:
    convert(folder / name, "--write")
    once = (folder / name).read_bytes()
    told = convert(folder / name, "--write", "--json").json()

    assert (folder / name).read_bytes() == once
    assert told["written"] == 0


# --- what it says ----------------------------------------------------------------------------------------


def test_it_prints_a_diff_a_table_and_what_to_do(convert: Run, folder: Path) -> None:
    told = convert(folder / "plain.html")

    assert "-    <iframe src=" in told.out
    assert '+      <qlik-embed ui="classic/chart"' in told.out
    assert re.search(r"plain\.html +10 +converted", told.out)
    assert "1 converted, 1 converted with a difference; 1 of 1 files change, 0 written." in told.out
    assert "add --write" in told.out
    assert told.out.rstrip().splitlines()[-1].endswith(f"in its head: {folder / 'plain.html'}")


def test_it_names_what_differs(convert: Run, folder: Path) -> None:
    told = convert(folder / "options.html", "--json").json()
    differences = [frame["differences"] for frame in told["files"][0]["frames"]]

    assert {"name": "opt", "value": "ctxmenu", "why": "has no equivalent"} in differences[1]
    assert "opt=ctxmenu has no equivalent" in convert(folder / "options.html").out


def test_it_names_what_goes_with_the_frame(convert: Run, tmp_path: Path) -> None:
    page(tmp_path, '<iframe name="report" src="/single/?appid=a&obj=b" height="1"><a href="/x">Open</a></iframe>')
    told = convert(tmp_path)

    assert "1 converted with a difference;" in told.out
    assert "name=report goes with the frame" in told.out
    assert "content goes with the frame" in told.out


def test_it_says_when_frames_lead_to_several_hosts(convert: Run, folder: Path) -> None:
    told = convert(folder / "sheets.html")

    assert "https://harbour.eu.qlikcloud.com, https://other.us.qlikcloud.com" in told.out


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_no_credential_of_a_page_is_printed(convert: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    secrets = "accessToken=hush-1&qlik-csrf-token=hush-2&jwt=hush-3"
    page(tmp_path, f'<iframe src="https://me:hush-4@t.example/single/?appid=a&obj=b&{secrets}"></iframe>')
    told = convert(tmp_path, *words)

    assert "hush" not in told.out + told.err
    assert "accessToken" in told.out


def test_brackets_and_control_characters_are_shown_as_they_are(convert: Run, tmp_path: Path) -> None:
    page(tmp_path, '<iframe src="/single/?appid=a&obj=b&select=[bold],[/x],:smile:,%1b[31m" height="1"></iframe>')
    told = convert(tmp_path)

    assert "select=[bold],[/x],:smile:,?[31m" in told.out
    assert "\x1b" not in told.out


def test_no_frames_is_said_too(convert: Run, folder: Path) -> None:
    told = convert(folder / "other_sites.html")

    assert told == Outcome(0, "No frames of Qlik in 1 files.\n", "")


# --- the script tag --------------------------------------------------------------------------------------

SCRIPT = "https://bridge.example.com/t/acme/embed.js"
TAG = f'<script src="{SCRIPT}" defer></script>'


def test_the_script_is_added_to_a_head_that_has_none(convert: Run, folder: Path) -> None:
    told = convert(folder, "--write", "--json", "--script", SCRIPT).json()
    added = {Path(each["file"]).name for each in told["files"] if each["script"] == "added"}

    assert added == {"plain.html", "crlf.html", "bom.html", "latin1.html", "lazy.html", "hidden.html", "portal.php"}
    for name in added:
        expected = (PAGES / "converted" / name).read_bytes()
        new = (folder / name).read_bytes()
        line = re.search(rb"[ \t]*" + re.escape(TAG.encode()) + rb"(\r?\n[ \t]*)?", new)
        assert line is not None
        assert new.count(TAG.encode()) == 1
        assert b"".join(new.replace(TAG.encode(), b"").split()) == b"".join(expected.split())
        assert re.match(rb"\s*</head>", new[line.end() :])
    assert f"    {TAG}\r\n".encode() not in (folder / "plain.html").read_bytes()
    assert f"\n  {TAG}\r\n</head>".encode() in (folder / "crlf.html").read_bytes()


def test_the_script_is_not_added_twice(convert: Run, tmp_path: Path) -> None:
    frame = '<iframe src="/single/?appid=a&obj=b" height="1"></iframe>'
    page(tmp_path, f'<head><script defer src="/t/acme/embed.js"></script></head>{frame}', "a.html")
    page(tmp_path, f"<head><!-- {TAG} --></head>{frame}", "b.html")
    told = convert(tmp_path, "--write", "--json", "--script", SCRIPT).json()

    assert [each["script"] for each in told["files"]] == ["there", "added"]


def test_without_a_head_the_last_line_says_so(convert: Run, folder: Path) -> None:
    told = convert(folder / "report.jinja2", "--script", SCRIPT)

    assert "<script src=" in told.out.rstrip().splitlines()[-1]
    assert "report.jinja2" in told.out.rstrip().splitlines()[-1]


@pytest.mark.parametrize("url", ["javascript:x", 'https://b/"><b>', "embed.js", ""])
def test_a_script_that_is_no_address_is_refused(convert: Run, folder: Path, url: str) -> None:
    assert convert(folder, "--script", url).code == 2


# --- files -----------------------------------------------------------------------------------------------


def test_check_is_for_pipelines(convert: Run, folder: Path) -> None:
    assert convert(folder, "--check").code == 1
    convert(folder, "--write")
    assert convert(folder, "--check").code == 0
    assert convert(folder, "--check", "--write").code == 2


def test_the_mode_stays(convert: Run, tmp_path: Path) -> None:
    made = page(tmp_path)
    made.chmod(0o750)
    convert(made, "--write")

    assert b"<qlik-embed" in made.read_bytes()
    assert stat.S_IMODE(made.stat().st_mode) == 0o750
    assert list(tmp_path.iterdir()) == [made]


def test_folders_are_searched_and_some_left_out(convert: Run, tmp_path: Path) -> None:
    seen = [page(tmp_path, name=name) for name in ("a/b/c.HTML", "a/d.html.j2", "e.php")]
    for name in ("node_modules/x.html", ".git/x.html", ".x.html", "notes.txt", "lib.min.js", "a/.hidden/x.html"):
        page(tmp_path, name=name)
    told = convert(tmp_path, "--json").json()

    assert {each["file"] for each in told["files"]} == set(map(str, seen))


def test_a_named_file_is_read_whatever_its_name_and_once(convert: Run, tmp_path: Path) -> None:
    made = page(tmp_path, name="fragment.txt")
    told = convert(made, made, "--json").json()

    assert [each["frames"][0]["verdict"] for each in told["files"]] == ["converted"]


def test_links_binaries_and_huge_files_are_skipped_and_said(convert: Run, tmp_path: Path) -> None:
    outside = page(tmp_path / "outside")
    site = tmp_path / "site"
    page(site, name="good.html")
    (site / "link.html").symlink_to(outside)
    (site / "linked").symlink_to(outside.parent, target_is_directory=True)
    (site / "utf16.html").write_text('<iframe src="/single/?appid=a&obj=b"></iframe>', encoding="utf-16")
    page(site, "x" * (files.MAX_BYTES + 1), "huge.html")
    told = convert(site, "--write", "--json")
    skipped = {Path(each["file"]).name: each["why"] for each in told.json()["skipped"]}

    assert told.code == 0
    assert set(skipped) == {"link.html", "utf16.html", "huge.html"}
    assert "symbolic link" in skipped["link.html"]
    assert "<iframe" in outside.read_text()
    assert (site / "link.html").is_symlink()


def test_nothing_that_can_be_read_is_refused(convert: Run, tmp_path: Path) -> None:
    link = tmp_path / "link.html"
    link.symlink_to(page(tmp_path))
    told = convert(link)

    assert told.code == 1
    assert "skipped" in told.err
    assert convert(tmp_path / "missing.html").code == 2
    assert convert().code == 2


def test_a_folder_that_cannot_be_opened_is_said(convert: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page(tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir()
    scandir = os.scandir

    def guarded(path: str) -> Any:  # noqa: ANN401 - whatever scandir returns
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    told = convert(tmp_path)

    assert f"skipped {closed}: Permission denied" in told.err
    assert "1 converted" in told.out


def test_a_full_disk_leaves_the_old_file_whole(convert: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = page(tmp_path)
    old = made.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    told = convert(made, "--write")

    assert told.code == 1
    assert "No space left" in told.err
    assert made.read_bytes() == old
    assert list(tmp_path.iterdir()) == [made]


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    made = page(tmp_path)
    read = files.read(made)
    made.write_text("somebody else's work")

    with pytest.raises(files.Skipped, match="changed meanwhile"):
        files.replace(read, "ours")
    assert made.read_text() == "somebody else's work"
    assert list(tmp_path.iterdir()) == [made]
