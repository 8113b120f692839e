"""The tables. A change here needs a migration beside it: a test compares the two."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

METADATA = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"},
)

EXACT = Text(collation="BINARY").with_variant(Text(collation="C"), "postgresql")
"""Compared byte for byte: two subjects may differ by case alone."""

DOCUMENT = JSON(none_as_null=True)

TENANTS = Table(
    "tenants",
    METADATA,
    Column("slug", EXACT, primary_key=True),
    Column("document", DOCUMENT, nullable=False),
    Column("secrets", LargeBinary, nullable=False),
    Column("stage", Text, nullable=False),
    Column("percentage", Float, nullable=False),
    Column("cohorts", DOCUMENT, nullable=False),
    Column("rollout_revision", Integer, nullable=False),
    Column("ramp", DOCUMENT),
    Column("kill", DOCUMENT),
    Column("revision", Integer, nullable=False, server_default="1"),
)

SWITCHES = Table(
    "switches",
    METADATA,
    # One row a switch that is on for all tenants.
    Column("name", EXACT, primary_key=True),
    Column("document", DOCUMENT, nullable=False),
)

SUBJECTS = Table(
    "subjects",
    METADATA,
    Column("tenant", EXACT, primary_key=True),
    Column("sub", EXACT, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("groups", DOCUMENT, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("asserted_at", Float(53), nullable=False),
    Column("user_id", Text),
    Column("synced_fingerprint", Text),
    Column("synced_groups", DOCUMENT, nullable=False),
    Column("synced_at", Float(53)),
    Column("browser_login_until", Float(53), nullable=False),
    Index(None, "tenant", "fingerprint"),  # as good as chance: to draw some of many people
)

TOKENS = Table(
    "tokens",
    METADATA,
    # The digest of the token's key while it is in use; its own id once it is doomed, so that a successor
    # does not push it out before it was revoked at the tenant.
    Column("slot", EXACT, primary_key=True),
    Column("doomed", Boolean, nullable=False),
    Column("token_id", Text, nullable=False),
    Column("tenant", EXACT, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("sub", EXACT, nullable=False),
    Column("key_scope", Text, nullable=False),
    Column("credential_revision", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("scope", Text, nullable=False),
    Column("issued_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    # When its person was last seen on the path oauth, and until when a worker renews it ahead of its end.
    Column("seen_at", Float(53), nullable=False, server_default="0"),
    Column("renewing_until", Float(53), nullable=False, server_default="0"),
    Index(None, "tenant", "sub"),
    Index(None, "expires_at"),
    Index(None, "tenant", "expires_at", "seen_at"),  # those to renew
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id_hash", EXACT, primary_key=True),
    Column("sub", EXACT, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("groups", DOCUMENT, nullable=False),
    Column("source", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("asserted_at", Float(53), nullable=False),
    Column("tenant", Text),
    Column("created_at", Float(53), nullable=False),
    Column("seen_at", Float(53), nullable=False),
    Index(None, "sub"),
    Index(None, "created_at"),
    Index(None, "seen_at"),
)

ASSERTIONS = Table(
    "assertions",
    METADATA,
    Column("digest", EXACT, primary_key=True),
    Column("until", Float(53), nullable=False),
    Index(None, "until"),
)

OPERATOR_TOKENS = Table(
    "operator_tokens",
    METADATA,
    Column("token_hash", EXACT, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("role", Text, nullable=False, server_default="admin"),
    Column("tenant", EXACT),
)

# As in trail.begins_anew, without parameters: an index over some of the rows is used for these very words alone.
BEGINS_ANEW = text("(action LIKE 'stage.%' OR action LIKE 'ramp.%') AND actor <> 'ramp'")

AUDIT = Table(
    "audit",
    METADATA,
    # Append-only: triggers refuse every UPDATE and DELETE (migrations: append_only_audit). A migration that copies
    # this table must make them anew.
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float(53), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("tenant", EXACT),
    Column("reason", Text, nullable=False),
    Column("before", DOCUMENT),
    Column("after", DOCUMENT),
    Column("request_id", Text, nullable=False),
    Index(None, "tenant", "id"),
    Index(None, "actor", "id"),
    Index(None, "action", "id"),
    Index("ix_audit_changes", "tenant", "id", sqlite_where=BEGINS_ANEW, postgresql_where=BEGINS_ANEW),
    Index(None, "at"),
)

MEASURED_PEOPLE = Table(
    "measured_people",
    METADATA,
    Column("tenant", EXACT, primary_key=True),
    Column("measure", EXACT, primary_key=True),
    # A keyed digest: nobody can be named from it without BRIDGE_SECRET_KEY.
    Column("person", EXACT, primary_key=True),
    Column("seen_at", Float(53), nullable=False),
    Index(None, "seen_at"),
    Index(None, "tenant", "seen_at", "measure"),  # those of a window, which is much shorter than they are kept
)

MEASURED_COUNTS = Table(
    "measured_counts",
    METADATA,
    Column("tenant", EXACT, primary_key=True),
    Column("measure", EXACT, primary_key=True),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Index(None, "slot"),
)

HISTORY = Table(
    "history",
    METADATA,
    # Slots of an hour and of a day: `slot_s` is how long, `slot` where one begins. A name is a series, or a trouble.
    Column("tenant", EXACT, primary_key=True),
    Column("slot_s", Integer, primary_key=True, autoincrement=False),
    Column("name", EXACT, primary_key=True),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("last_at", Float(53), nullable=False),
    Index(None, "slot_s", "slot"),
)

HISTORY_PEOPLE = Table(
    "history_people",
    METADATA,
    # Who was counted in a slot already; gone soon after the slot is over. The key begins as the sweep asks.
    Column("slot_s", Integer, primary_key=True, autoincrement=False),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", EXACT, primary_key=True),
    Column("name", EXACT, primary_key=True),
    # A keyed digest: nobody can be named from it without BRIDGE_SECRET_KEY.
    Column("person", EXACT, primary_key=True),
    sqlite_with_rowid=False,
)

HISTORY_TURN = Table(
    "history_turn",
    METADATA,
    # One row: the last turn that a worker took to look how the tenants stand.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("turn", BigInteger, nullable=False),
)

NOTICES = Table(
    "notices",
    METADATA,
    Column("id", EXACT, primary_key=True),
    Column("to", Text, primary_key=True),
    Column("tenant", EXACT, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("due_at", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Index(None, "due_at"),
)

BUDGET_CALLS = Table(
    "budget_calls",
    METADATA,
    # Calls to a tenant by who pays, who claimed them, and the slot of time (unix seconds of its beginning).
    Column("tenant", EXACT, primary_key=True),
    Column("client", EXACT, primary_key=True),
    Column("lane", EXACT, primary_key=True),
    Column("slot", Float(53), primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Index(None, "slot"),
)

CLOSED_TIERS = Table(
    "closed_tiers",
    METADATA,
    # Until when a tenant's 429 closes one of Qlik's tiers to every worker; the row of tier 2 is the budget's lock too.
    Column("tenant", EXACT, primary_key=True),
    Column("tier", Integer, primary_key=True, autoincrement=False),
    Column("until", Float(53), nullable=False),
)

LEASES = Table(
    "leases",
    METADATA,
    # Which worker logs a person in and mints for them; the row goes with the token that comes of it.
    Column("tenant", EXACT, primary_key=True),
    Column("sub", EXACT, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("begun", Float(53), nullable=False),
    Column("until", Float(53), nullable=False),
    # The code of the error by which it ended, "" while it holds.
    Column("problem", Text, nullable=False),
)

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("tenant", EXACT, primary_key=True),
    Column("sub", EXACT, primary_key=True),
    Column("path", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("variant", Text),
    Column("provider", Text, nullable=False),
    Column("since", Float(53), nullable=False),
)

IMPERSONATIONS = Table(
    "impersonations",
    METADATA,
    Column("token_id", EXACT, primary_key=True),
    Column("at", Float(53), nullable=False),
    Column("tenant", EXACT, nullable=False),
    Column("sub", EXACT, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Index(None, "tenant", "at"),
    Index(None, "at"),
)

JWT_USES = Table(
    "jwt_uses",
    METADATA,
    Column("digest", EXACT, primary_key=True),  # of the next four
    Column("tenant", EXACT, nullable=False),
    Column("sub", EXACT, nullable=False),
    Column("origin", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("first_seen", Float(53), nullable=False),
    Column("last_seen", Float(53), nullable=False),
    Column("hours", Integer, nullable=False),
    Index(None, "tenant", "last_seen"),
    Index(None, "last_seen"),
)

JWT_WATCH = Table(
    "jwt_watch",
    METADATA,
    # One row: since when uses are noted.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("since", Float(53), nullable=False),
)

PARITY_BASELINES = Table(
    "parity_baselines",
    METADATA,
    Column("tenant", EXACT, primary_key=True),
    Column("sub", EXACT, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("salt_id", Text, nullable=False),
    Column("taken_at", Float(53), nullable=False),
    Column("access", DOCUMENT, nullable=False),
)

PARITY_RESULTS = Table(
    "parity_results",
    METADATA,
    # The newest comparison of each subject; `outcome` is kept beside the checks so that it can be counted.
    Column("tenant", EXACT, primary_key=True),
    Column("sub", EXACT, primary_key=True),
    Column("run", Float(53), nullable=False),
    Column("compared_at", Float(53), nullable=False),
    Column("baseline_at", Float(53)),
    Column("fingerprint", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("basis", Text, nullable=False, server_default=""),
    Column("checks", DOCUMENT, nullable=False),
    Index(None, "tenant", "outcome", "compared_at"),
)

REVISION = Table(
    "revision",
    METADATA,
    # One row: it grows with each change that other processes must see at once.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("counter", Integer, nullable=False),
)

CHANGES = Table(
    "changes",
    METADATA,
    # Whom the newest of them were about. A change that is not here was about more than one person.
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("sub", EXACT, nullable=False),
)
