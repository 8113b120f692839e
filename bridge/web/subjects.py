"""Turn what a portal says about a person into a Subject, or refuse it by name."""

from bridge.model import Subject
from bridge.texts import checked_text

MAX_TEXT = 512
MAX_GROUPS = 2000
MAX_GROUP = 256


def subject_of(*, sub: object, name: object, email: object, groups: object) -> Subject:
    """Return the subject. Raises ValueError that names the first fact that cannot be used."""
    return Subject(
        sub=checked_string(sub, "sub"),
        name=checked_string(name, "name"),
        email=checked_string(email, "email"),
        groups=_groups(groups),
    )


def _groups(groups: object) -> frozenset[str]:
    """Tell `[]`, no groups, from groups that nobody mentioned."""
    if groups is None:
        raise ValueError("groups is missing; send [] for a person without groups")
    if not isinstance(groups, list):
        raise ValueError("groups is not a list of strings")  # noqa: TRY004 - ValueError is the contract
    if len(groups) > MAX_GROUPS:
        raise ValueError(f"groups has more than {MAX_GROUPS} entries")
    return frozenset(checked_string(group, "a group", MAX_GROUP) for group in groups)


def checked_string(value: object, what: str, longest: int = MAX_TEXT) -> str:
    """Return a short, non-empty string without control characters. Raises ValueError."""
    if value is None:
        raise ValueError(f"{what} is missing")
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} is not a non-empty string")
    if len(value) > longest:
        raise ValueError(f"{what} is longer than {longest} characters")
    return checked_text(value, what)
