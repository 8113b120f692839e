"""Where a person may be sent after signing in: a path of ours, nothing else."""

from urllib.parse import unquote

from bridge.texts import CONTROL_CHARACTERS

HOME = "/"
DEEPEST_ENCODING = 5


def safe_target(target: str) -> str:
    """Return *target* when it can only mean a path of this origin, else the home page.

    Browsers and proxies decode and repair addresses, so each percent-decoded form has to be safe too.
    """
    form = target
    for _ in range(DEEPEST_ENCODING):
        if not _is_local(form):
            return HOME
        if (decoded := unquote(form)) == form:
            return target
        form = decoded
    return HOME


def _is_local(form: str) -> bool:
    return form.startswith("/") and "//" not in form and "\\" not in form and not CONTROL_CHARACTERS.search(form)
