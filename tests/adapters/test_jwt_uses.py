"""The contract of the uses of the JWT path, over every implementation, and how SQL forgets them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import START
from sqlalchemy import func, select
from stores import Stores

from bridge.adapters.sql import Database, SqlJwtUses
from bridge.adapters.sql.jwt_uses import KEPT_S
from bridge.adapters.sql.tables import JWT_USES
from bridge.trail import JwtUse, OriginUse, Whence

PORTAL, WIKI = Whence("https://portal.example", "Chrome"), Whence("https://wiki.example", "Firefox")
HOUR = 3600


def use(sub: str = "alice", whence: Whence = PORTAL, at: float = START, tenant: str = "acme") -> JwtUse:
    return JwtUse(tenant, sub, whence, at, at)


def test_a_use_is_there_with_all_that_was_noted(stores: Stores) -> None:
    stores.jwt_uses.note(use())

    assert list(stores.jwt_uses.latest("acme", since=0, limit=10)) == [use()]
    assert list(stores.jwt_uses.latest("globex", since=0, limit=10)) == []


def test_hours_are_counted_not_writes(stores: Stores) -> None:
    """Several workers note the same hour."""
    for at in (START, START + 5, START + HOUR - 1, START + HOUR, START + HOUR + 9, START + 30 * HOUR):
        stores.jwt_uses.note(use(at=at))

    (found,) = stores.jwt_uses.latest("acme", since=0, limit=10)
    assert (found.first_seen, found.last_seen, found.hours) == (START, START + 30 * HOUR, 3)


def test_a_clock_that_is_behind_takes_nothing_back(stores: Stores) -> None:
    stores.jwt_uses.note(use(at=START + HOUR))
    stores.jwt_uses.note(use(at=START))

    (found,) = stores.jwt_uses.latest("acme", since=0, limit=10)
    assert (found.first_seen, found.last_seen, found.hours) == (START, START + HOUR, 1)


def test_subjects_origins_and_families_are_told_apart(stores: Stores) -> None:
    everywhere = [
        use(),
        use("Alice"),
        use(whence=WIKI),
        use(whence=Whence(PORTAL.origin, "Safari")),
        use(tenant="globex"),
    ]
    for number, each in enumerate(everywhere):
        stores.jwt_uses.note(JwtUse(each.tenant, each.sub, each.whence, START + number, START + number))

    assert len(stores.jwt_uses.latest("acme", since=0, limit=10)) == 4
    assert stores.jwt_uses.subjects("acme", since=0) == 2
    assert list(stores.jwt_uses.origins("acme", since=0)) == [
        OriginUse("https://portal.example", 2, START, START + 3),
        OriginUse("https://wiki.example", 1, START + 2, START + 2),
    ]


def test_the_newest_come_first_and_older_ones_can_be_left_out(stores: Stores) -> None:
    for number, sub in enumerate(("alice", "bob", "carol")):
        stores.jwt_uses.note(use(sub, at=START + number))

    assert [each.sub for each in stores.jwt_uses.latest("acme", since=START + 1, limit=10)] == ["carol", "bob"]
    assert [each.sub for each in stores.jwt_uses.latest("acme", since=0, limit=1)] == ["carol"]
    assert stores.jwt_uses.subjects("acme", since=START + 1) == 2
    assert [each.subjects for each in stores.jwt_uses.origins("acme", since=START + 1)] == [2]


def test_many_at_once_make_one_row(stores: Stores) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: stores.jwt_uses.note(use()), range(16)))

    (found,) = stores.jwt_uses.latest("acme", since=0, limit=10)
    assert found.hours == 1


def test_it_is_known_since_when_uses_are_noted(stores: Stores) -> None:
    assert 1_700_000_000 < stores.jwt_uses.watched_since() < 5_000_000_000


@pytest.mark.parametrize(("later_s", "left"), [(KEPT_S - 1, 2), (KEPT_S + 1, 1)])
def test_rows_end_ninety_days_after_their_last_use(database: Database, later_s: float, left: int) -> None:
    uses = SqlJwtUses(database)
    uses.note(use())
    SqlJwtUses(database).note(use("bob", at=START + later_s))

    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(JWT_USES)).scalar_one() == left
