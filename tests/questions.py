"""Every question that requests, pages and chores ask a database, one after the other."""

from collections.abc import Callable
from dataclasses import replace

from fakes import START
from stores import Stores

from bridge.adapters.sql import SqlImpersonations
from bridge.budgeting import Account, Lane, Lease, Spent
from bridge.decisions import Decision, NotedDecision
from bridge.history import HistoryNotes, Notes
from bridge.model import AuditEvent, Identity, IssuedToken, Path, Session, Subject, TokenKey
from bridge.trail import AuditFilter, JwtUse, Whence

BOB = Subject("bob", "Bob", "", frozenset({"Sales"}))
KEY = TokenKey("acme", "client", "bob", "user_default", "r1")
TOKEN = IssuedToken(KEY, "id-1", "value", "user_default", START, START + 9_000)
SESSION = Session("hash", Identity(BOB, "header", "", 1), START, START)
LEASE = Lease("acme", "bob", "worker", START, START + 15)
EVENT = AuditEvent(START, "cli:erin", "stage.move", "acme", "because", None, None)
ACCOUNT = Account("acme", "client")
DECISION = NotedDecision("acme", "bob", Decision(Path.OAUTH, "TARGETING_MATCH", "on", "flagd"), START)


def everything(stores: Stores, impersonations: SqlImpersonations) -> dict[str, Callable[[], object]]:
    """Return each question that a request, a page or a chore asks."""
    record = stores.subjects.note("acme", BOB, 1)
    synced = replace(record, user_id="id", synced_fingerprint=BOB.fingerprint(), synced_at=START)
    use = JwtUse("acme", "bob", Whence("https://portal.example.com", "Firefox"), START, START)
    since = START - 600
    return {
        "session": lambda: stores.sessions.get("hash"),
        "sign in": lambda: stores.sessions.add(SESSION),
        "sign in again": lambda: stores.sessions.add(
            replace(SESSION, id_hash="hash-2", identity=replace(SESSION.identity, asserted_at=2))
        ),
        "touch": lambda: stores.sessions.touch({"hash": START + 1}),
        "sweep of sessions": lambda: stores.sessions.remove_older(created_before=since, seen_before=since),
        "sign out": lambda: stores.sessions.remove("hash"),
        "assertion": lambda: stores.ledger.claim("portal", "jti", START + 9, now=START),
        "subject": lambda: stores.subjects.get("acme", "bob"),
        "people drawn": lambda: stores.subjects.known("acme", most=9),
        "facts": lambda: stores.subjects.note("acme", replace(BOB, name="Robert"), 2),
        "same facts": lambda: stores.subjects.note("acme", replace(BOB, name="Robert"), 3),
        "sync": lambda: stores.subjects.record_sync(synced),
        "unclear sync": lambda: stores.subjects.note_unclear_sync("acme", BOB),
        "browser login": lambda: stores.subjects.note_browser_login("acme", "bob", START),
        "claim": lambda: stores.budget.claim(ACCOUNT, lambda *_: Spent(Lane.PAGE_OPEN, START, 1), since=0, lease=LEASE),
        "lease": lambda: stores.budget.lease("acme", "bob"),
        "token kept": lambda: stores.tokens.put(TOKEN, LEASE),
        "token": lambda: stores.tokens.get(KEY),
        "failed lease": lambda: stores.budget.end_lease(LEASE, "tenant_timeout"),
        "seen": lambda: stores.renewals.add(Notes({("acme", "bob"): START})),
        "to renew": lambda: stores.renewals.due("acme", now=START, before=START + 9_999, seen_since=since, limit=200),
        "person's tokens revoked": lambda: stores.tokens.doom(tenant="acme", sub="bob"),
        "token dropped": lambda: stores.tokens.drop(TOKEN),
        "decision": lambda: stores.decisions.get("acme", "bob"),
        "decision noted": lambda: stores.decisions.note(DECISION, instead_of=None, event=None),
        "measured": lambda: stores.measures.add(Notes({("acme", "asked", "p"): START}, {("acme", "calls", 5): 1})),
        "tallies": lambda: stores.measures.tallies(["acme", "globex"], since),
        "sweep of measures": lambda: stores.measures.remove_older(since),
        "history": lambda: stores.history.add(
            HistoryNotes({(3600, "acme", "oauth_people", "p"): START}, {("acme", "issued", 3600): 1}), START
        ),
        "series": lambda: stores.history.counts("acme", 3600, since=0),
        "shares": lambda: stores.history.in_slot(["acme"], ["issued"], 86_400, 0),
        "troubles": lambda: stores.history.troubles("acme", 3600, since=0, limit=9),
        "sweep of history": lambda: stores.history.sweep(START, most=9),
        "use of the JWT path": lambda: stores.jwt_uses.note(use),
        "stragglers": lambda: stores.jwt_uses.latest("acme", since=since, limit=9),
        "pages of stragglers": lambda: stores.jwt_uses.origins("acme", since=since),
        "number of stragglers": lambda: stores.jwt_uses.subjects("acme", since=since),
        "event": lambda: stores.audit.append(EVENT),
        "trail": lambda: stores.audit.latest(limit=9),
        "trail of a tenant": lambda: stores.audit.page(AuditFilter(tenant="acme"), before=9, limit=9),
        "trail of an actor": lambda: stores.audit.page(AuditFilter(actor="cli:erin"), limit=9),
        "trail of an action": lambda: stores.audit.page(AuditFilter(action="stage.move"), limit=9),
        "last change": lambda: stores.audit.last_change("acme"),
        "impersonations": lambda: impersonations.since("acme", since),
        "parity of a person": lambda: stores.parity.result("acme", "bob"),
        "baseline": lambda: stores.parity.baseline("acme", "bob"),
        "newest comparisons": lambda: stores.parity.results("acme", limit=9),
        "parity": lambda: stores.parity.counts("acme", fresh_since=since, basis="b"),
    }
