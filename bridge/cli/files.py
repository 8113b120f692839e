"""Pages on disk: which ones to read, and how to replace one without ever leaving half of it."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PAGES = tuple(
    f".{each}"
    for each in (
        *("html", "htm", "xhtml", "shtml", "jinja", "jinja2", "j2", "njk", "twig", "liquid", "tmpl", "tpl", "gohtml"),
        *("php", "phtml", "erb", "rhtml", "ejs", "hbs", "handlebars", "mustache", "jsp", "ftl"),
    )
)
CODE = (".vue", ".jsx", ".tsx", ".js", ".mjs", ".cjs", ".ts", ".svelte", ".astro")
"""Frames in there follow other rules than HTML; they are named, and never replaced."""
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv", "vendor"})
MAX_BYTES = 2_000_000


class Skipped(Exception):
    """A file that is not read, or not replaced; the message says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """A file as read; bytes that are no UTF-8 survive in `text` as lone surrogates."""

    path: Path
    content: bytes
    stamp: tuple[int, int, int]

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "surrogateescape")

    @property
    def is_code(self) -> bool:
        return self.path.name.lower().endswith(CODE)


def find(paths: Iterable[Path], refused: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield the named files, and those in named folders that look like pages, hidden ones left out.

    *refused* hears of folders that cannot be opened.
    """
    for path in paths:
        if path.is_dir():
            yield from _in(path, refused)
        else:
            yield path


def _in(folder: Path, refused: Callable[[OSError], None]) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=refused):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in SKIPPED_FOLDERS)
        yield from (Path(parent, name) for name in sorted(files) if name[0] != "." and _is_page(name))


def _is_page(name: str) -> bool:
    return name.lower().endswith((*PAGES, *CODE)) and ".min." not in name


def read(path: Path) -> Page:
    """Return a page. Raises Skipped."""
    try:
        stamp = _stamp(path)
        content = path.read_bytes()
    except OSError as problem:
        raise Skipped(reason(problem)) from None
    if b"\0" in content:
        raise Skipped("not a text, or not one in UTF-8 or a like encoding")
    return Page(path, content, stamp)


def replace(page: Page, text: str) -> None:
    """Put a new text in place of a page, whole or not at all, with the old mode. Raises Skipped."""
    try:
        status = page.path.lstat()
        number, name = tempfile.mkstemp(dir=page.path.parent, prefix=f".{page.path.name}.")
        new = Path(name)
        try:
            _write(number, text.encode("utf-8", "surrogateescape"), status)
            _check_unchanged(page)
            new.replace(page.path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise Skipped(reason(problem)) from None


def reason(problem: OSError) -> str:
    return problem.strerror or type(problem).__name__


def _write(number: int, content: bytes, like: os.stat_result) -> None:
    with os.fdopen(number, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(number)
        with contextlib.suppress(PermissionError):  # not ours to give away; then it is ours
            os.fchown(number, like.st_uid, like.st_gid)
        os.fchmod(number, stat.S_IMODE(like.st_mode))


def _check_unchanged(page: Page) -> None:
    if _stamp(page.path) != page.stamp:
        raise Skipped("it was changed meanwhile")


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what tells that a file was changed. Raises OSError, and Skipped for what is no plain file of fair size."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise Skipped("a symbolic link: name the file that it leads to")
    if not stat.S_ISREG(status.st_mode):
        raise Skipped("not a file")
    if status.st_size > MAX_BYTES:
        raise Skipped(f"larger than {MAX_BYTES // 1_000_000} MB")
    return status.st_ino, status.st_size, status.st_mtime_ns
