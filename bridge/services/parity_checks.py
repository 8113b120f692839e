"""Compare what the portal says, what JWT gave and what OAuth gives. Pure: no call, no clock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bridge.evidence import Access, Area, Check, OpenedApp, ParityPlan, RowProbe, Rows, Verdict
from bridge.model import Subject

IDP = "idp:"
YES, NO = "yes", "no"
TOKEN = "impersonation token"  # noqa: S105 - a name for people
CLOSED, OPENS = "closed", "opens"
GONE = "JWT had it, OAuth does not"
NEW = "OAuth has it, JWT did not"
NOT_FOUND = "not found by this person"

Names = Mapping[str, str]


def without_token(verdict: Verdict, why: str) -> Sequence[Check]:
    """Return the checks of a person who gets no token; the rest could not be looked at."""
    rest = [Check(area, "", Verdict.NOT_CHECKED, why="there is no token to look with") for area in Area]
    return [Check(Area.TOKEN, TOKEN, verdict, YES, "", NO, why), *rest[1:]]


def compared(
    plan: ParityPlan, subject: Subject, jwt: Access | None, oauth: Access, no_baseline: str
) -> Sequence[Check]:
    """Return every check of one person; *no_baseline* says why *jwt* is not there."""
    checks = [Check(Area.TOKEN, TOKEN, Verdict.SAME, YES, "", YES), *_user(subject, jwt, oauth)]
    checks += _groups(subject, jwt, oauth)
    if jwt is None:
        rest = (Area.ROLES, Area.SPACES, Area.APPS, Area.SHEETS, Area.OBJECTS, Area.ROWS)
        checks += [Check(area, "", Verdict.NOT_CHECKED, why=no_baseline) for area in rest]
    else:
        checks += _names(Area.ROLES, jwt.holder.roles, oauth.holder.roles)
        checks += _read(Area.SPACES, jwt, oauth, jwt.spaces, oauth.spaces)
        checks += _read(Area.APPS, jwt, oauth, jwt.apps, oauth.apps)
        checks += _apps(jwt, oauth)
        checks += [_probe(probe, jwt, oauth) for probe in plan.probes] or [_no_probe()]
    return sorted((_ignored(plan, check) for check in checks), key=lambda check: list(Area).index(check.area))


def _ignored(plan: ParityPlan, check: Check) -> Check:
    return check if check.verdict is Verdict.SAME else replace(check, ignored=plan.why_ignored(check.area, check.item))


def _user(subject: Subject, jwt: Access | None, oauth: Access) -> Iterator[Check]:
    is_expected = oauth.holder.subject == subject.sub
    verdict = Verdict.SAME if is_expected else Verdict.MISSING
    why = "" if is_expected else "the token speaks for another subject"
    yield Check(Area.USER, "subject", verdict, YES, "", YES if is_expected else NO, why)
    if jwt is not None:
        same = jwt.holder.user_id == oauth.holder.user_id
        why = "" if same else "OAuth speaks for another user of the tenant than the JWT session did"
        verdict = Verdict.SAME if same else Verdict.MISSING
        yield Check(Area.USER, "user id", verdict, "", jwt.holder.user_id, oauth.holder.user_id, why)


def _groups(subject: Subject, jwt: Access | None, oauth: Access) -> Iterator[Check]:
    """Hold idp groups against the portal's word, and all others against what the JWT session had."""
    expected = {f"{IDP}{name}": f"{name} (idp)" for name in subject.groups}
    had, has = jwt.holder.groups if jwt else {}, oauth.holder.groups
    judged = {key for key in {*expected, *had, *has} if key.startswith(IDP) or jwt is not None}
    wrong = [key for key in sorted(judged) if (key in expected or _is_other(key, had)) != (key in has)]
    for key in wrong:
        label = expected.get(key) or has.get(key) or had[key]
        yield Check(
            Area.GROUPS,
            label,
            Verdict.EXTRA if key in has else Verdict.MISSING,
            _cell(key in expected) if key.startswith(IDP) else "",
            _cell(key in had) if jwt else "",
            _cell(key in has),
            _why_group(key, had, has, expected),
        )
    if not wrong:
        count = len(judged & has.keys())  # the baseline may have other ones by now, and rightly so
        yield _all_same(Area.GROUPS, count, expected=str(len(expected)), baseline=str(len(had)) if jwt else "")
    if jwt is None:
        yield Check(Area.GROUPS, "others than idp", Verdict.NOT_CHECKED, why="there is no JWT baseline")


def _is_other(key: str, had: Names) -> bool:
    return key in had and not key.startswith(IDP)


def _why_group(key: str, had: Names, has: Names, expected: Names) -> str:
    kind, _, name = key.partition(":")
    twins = [each.partition(":")[0] for each in has if each.partition(":")[2] == name and each != key]
    if key not in has and twins:
        return f"the tenant has it as {twins[0]} instead of {kind}: other spaces, roles and rows may follow from it"
    if key not in has:
        return GONE if key in had else "the portal says so, and neither path has it"
    return "the portal does not say so" if key.startswith(IDP) and key not in expected else NEW


def _read(area: Area, jwt: Access, oauth: Access, had: Names, has: Names) -> Iterator[Check]:
    problem = oauth.problems.get(area) or jwt.problems.get(area)
    if problem:
        yield Check(area, "", Verdict.NOT_CHECKED, why=f"could not be read: {problem}")
    else:
        yield from _names(area, had, has)


def _names(area: Area, had: Names, has: Names, where: str = "") -> Iterator[Check]:
    """Compare two sets by key; one line for each difference, or one for all that is the same."""
    wrong = sorted(had.keys() ^ has.keys())
    for key in wrong:
        label, is_extra = where + (had.get(key) or has[key]), key in has
        verdict, why = (Verdict.EXTRA, NEW) if is_extra else (Verdict.MISSING, GONE)
        yield Check(area, label, verdict, "", _cell(key in had), _cell(is_extra), why)
    if not wrong:
        yield _all_same(area, len(had), where)


def _all_same(area: Area, count: int, where: str = "", expected: str = "", baseline: str | None = None) -> Check:
    item, had = f"{where}all {count}" if count else f"{where}none", str(count) if baseline is None else baseline
    return Check(area, item, Verdict.SAME, expected, had, str(count))


def _cell(there: bool) -> str:  # noqa: FBT001 - one word for one truth
    return YES if there else NO


# --- apps ------------------------------------------------------------------------------------------------


def _apps(jwt: Access, oauth: Access) -> Iterator[Check]:
    names = {**jwt.apps, **oauth.apps}
    for app_id in sorted({*jwt.opened, *oauth.opened}, key=lambda each: names.get(each, each)):
        before, after = jwt.opened.get(app_id), oauth.opened.get(app_id)
        if before is not None and after is not None:
            yield from _app(names.get(app_id, app_id), before, after)
    left = (jwt.apps.keys() & oauth.apps.keys()) - (jwt.opened.keys() & oauth.opened.keys())
    if left:
        why = f"{len(left)} apps were not opened on both paths: raise `parity.max_apps`"
        yield Check(Area.APPS, "opening the others", Verdict.NOT_CHECKED, why=why, needed=False)


def _app(name: str, before: OpenedApp, after: OpenedApp) -> Iterator[Check]:
    item, problem = f"{name} {OPENS}", after.problem or before.problem
    if problem:
        yield Check(Area.APPS, item, Verdict.NOT_CHECKED, why=f"could not be opened: {problem}")
    elif before.is_open and after.is_open:
        yield Check(Area.APPS, item, Verdict.SAME, "", YES, YES)
        yield from _names(Area.SHEETS, before.sheets, after.sheets, f"{name}: ")
        yield from _names(Area.OBJECTS, before.objects, after.objects, f"{name}: ")
    elif before.is_open or after.is_open:
        verdict, why = (Verdict.EXTRA, NEW) if after.is_open else (Verdict.MISSING, f"the app is {after.refused}")
        yield Check(Area.APPS, item, verdict, "", _cell(before.is_open), _cell(after.is_open), why)
    elif NOT_FOUND in (before.refused, after.refused):
        yield Check(Area.APPS, item, Verdict.NOT_CHECKED, "", NO, NO, "no such app for this person", needed=False)
    else:
        yield Check(Area.APPS, item, Verdict.SAME, "", CLOSED, CLOSED)


def _no_probe() -> Check:
    return Check(Area.ROWS, "", Verdict.NOT_CHECKED, why="no probe is configured in `parity.probes`", needed=False)


def _probe(probe: RowProbe, jwt: Access, oauth: Access) -> Check:
    before, after = jwt.opened.get(probe.app_id), oauth.opened.get(probe.app_id)
    check = Check(Area.ROWS, probe.name, Verdict.NOT_CHECKED, "", _rows_cell(before, probe), _rows_cell(after, probe))
    if before is None or after is None or before.problem or after.problem:
        return replace(check, why="the app could not be opened on both paths")
    if before.is_open and after.is_open:
        return _rows(check, before, after)
    if before.is_open or after.is_open:
        verdict = Verdict.EXTRA if after.is_open else Verdict.MISSING
        return replace(check, verdict=verdict, why=f"the app is closed to {'JWT' if after.is_open else 'OAuth'}")
    if NOT_FOUND in (before.refused, after.refused):
        return replace(check, why="no such app for this person on either path", needed=False)
    return replace(check, verdict=Verdict.SAME)


def _rows(check: Check, before: OpenedApp, after: OpenedApp) -> Check:
    had, has = before.rows.get(check.item), after.rows.get(check.item)
    if had is None or has is None:
        return replace(check, why="the probe is newer than the JWT baseline: take that again")
    if had.problem or has.problem:
        return replace(check, why=had.problem or has.problem)
    if before.reloaded_at != after.reloaded_at:
        return replace(check, why="the app was reloaded since the JWT baseline: take that again")
    verdict, why = _rows_verdict(had, has)
    return replace(check, verdict=verdict, why=why)


def _rows_verdict(had: Rows, has: Rows) -> tuple[Verdict, str]:
    if had == has:
        return Verdict.SAME, ""
    if had.count == has.count:
        return Verdict.MISSING, "as many rows, with other content"
    if has.count < had.count:
        return Verdict.MISSING, f"{had.count - has.count} rows fewer than by JWT"
    return Verdict.EXTRA, f"{has.count - had.count} rows more than by JWT"


def _rows_cell(app: OpenedApp | None, probe: RowProbe) -> str:
    if app is None or app.problem:
        return ""
    rows = app.rows.get(probe.name)
    return CLOSED if not app.is_open else "" if rows is None or rows.problem else f"{rows.count} rows"
