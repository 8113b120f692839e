"""The contract of ports.watching.HistoryStore, over every implementation."""

from concurrent.futures import ThreadPoolExecutor

from fakes import START
from sqlalchemy import func, select
from stores import Stores

from bridge.adapters.sql import Database, SqlHistory
from bridge.adapters.sql.tables import HISTORY_PEOPLE
from bridge.history import DAY_S, HOUR_S, KEPT_S, PEOPLE_KEPT_S, HistoryNotes, Trouble

DAY = int(START // DAY_S * DAY_S) + DAY_S
"""The beginning of a day."""
NOON = DAY + 12 * HOUR_S


def people(*digests: str, hour: int = NOON, tenant: str = "acme", name: str = "oauth_people") -> HistoryNotes:
    return HistoryNotes(people={(hour, tenant, name, digest): hour for digest in digests})


def times(n: int, name: str = "calls", hour: int = NOON, tenant: str = "acme") -> HistoryNotes:
    return HistoryNotes(counts={(tenant, name, hour): n})


def test_counts_add_up_by_hour_and_by_day(stores: Stores) -> None:
    for notes in (times(2), times(3), times(4, hour=NOON + HOUR_S), times(1, hour=DAY + DAY_S), times(7, "issued")):
        stores.history.add(notes, NOON)

    assert stores.history.counts("acme", HOUR_S, since=DAY) == {
        ("calls", NOON): 5,
        ("calls", NOON + HOUR_S): 4,
        ("calls", DAY + DAY_S): 1,
        ("issued", NOON): 7,
    }
    assert stores.history.counts("acme", DAY_S, since=DAY)["calls", DAY] == 9
    assert stores.history.counts("acme", DAY_S, since=DAY + 1) == {("calls", DAY + DAY_S): 1}


def test_a_person_counts_once_an_hour_and_once_a_day(stores: Stores) -> None:
    """Whichever workers saw them, and however often."""
    for notes in (people("a", "b"), people("b", "c"), people("a", hour=NOON + HOUR_S), people("a", name="jwt_people")):
        stores.history.add(notes, NOON)

    hours = stores.history.counts("acme", HOUR_S, since=DAY)
    assert hours == {("oauth_people", NOON): 3, ("oauth_people", NOON + HOUR_S): 1, ("jwt_people", NOON): 1}
    days = stores.history.counts("acme", DAY_S, since=DAY)
    assert days == {("oauth_people", DAY): 3, ("jwt_people", DAY): 1}


def test_one_telling_may_hold_two_hours_of_a_person(stores: Stores) -> None:
    both = HistoryNotes(people=people("a").people | people("a", hour=NOON + HOUR_S).people)
    stores.history.add(both, NOON)

    assert stores.history.counts("acme", DAY_S, since=DAY) == {("oauth_people", DAY): 1}
    assert sum(stores.history.counts("acme", HOUR_S, since=DAY).values()) == 2


def test_standings_replace_each_other(stores: Stores) -> None:
    stores.history.put(NOON + 1, {("acme", "proven"): 5, ("globex", "proven"): 1})
    stores.history.put(NOON + 300, {("acme", "proven"): 3})

    assert stores.history.counts("acme", HOUR_S, since=DAY) == {("proven", NOON): 3}
    assert stores.history.counts("globex", DAY_S, since=DAY) == {("proven", DAY): 1}


def test_one_slot_is_read_for_many_tenants(stores: Stores) -> None:
    for tenant in ("acme", "globex", "initech"):
        stores.history.add(people("a", "b", tenant=tenant), NOON)
    stores.history.add(times(3), NOON)
    stores.history.add(people("z", hour=DAY - HOUR_S), NOON)

    found = stores.history.in_slot({"acme", "globex", "nobody"}, {"oauth_people", "jwt_people"}, DAY_S, DAY)
    assert found == {("acme", "oauth_people"): 2, ("globex", "oauth_people"): 2}


def test_troubles_the_newest_first(stores: Stores) -> None:
    stores.history.add(times(2, "trouble:sync_refused"), NOON + 5)
    stores.history.add(times(1, "trouble:store_error", tenant="globex"), NOON + 5)
    stores.history.add(times(5), NOON + 6)
    stores.history.add(times(1, "trouble:tenant_timeout"), NOON + 7)
    stores.history.add(times(3, "trouble:sync_refused", hour=NOON + HOUR_S), NOON + HOUR_S + 9)

    newest, other = Trouble("sync_refused", 5, NOON + HOUR_S + 9), Trouble("tenant_timeout", 1, NOON + 7)
    for slot_s in (HOUR_S, DAY_S):
        assert stores.history.troubles("acme", slot_s, since=DAY, limit=9) == [newest, other]
    assert stores.history.troubles("acme", HOUR_S, since=DAY, limit=1) == [newest]
    assert stores.history.troubles("acme", HOUR_S, since=NOON + 8, limit=9) == [
        Trouble("sync_refused", 3, NOON + HOUR_S + 9)
    ]


def test_one_worker_takes_a_turn(stores: Stores) -> None:
    assert [stores.history.claim(turn) for turn in (7, 7, 8, 7, 9)] == [True, False, True, False, True]


def test_what_is_old_is_removed_in_bites(stores: Stores) -> None:
    old, now = DAY - KEPT_S[HOUR_S], DAY + HOUR_S + PEOPLE_KEPT_S
    stores.history.add(people("a", "b", "c", hour=old), old)
    stores.history.add(people("a", hour=DAY), now)

    bites = 0
    while stores.history.sweep(now + 1, most=1):
        bites += 1

    assert 3 <= bites <= 8
    assert stores.history.counts("acme", HOUR_S, since=0) == {("oauth_people", DAY): 1}
    assert stores.history.counts("acme", DAY_S, since=0) == {
        ("oauth_people", old // DAY_S * DAY_S): 3,
        ("oauth_people", DAY): 1,
    }
    stores.history.add(people("a", hour=DAY + HOUR_S), now)
    assert stores.history.counts("acme", DAY_S, since=DAY) == {("oauth_people", DAY): 1}


def test_people_are_forgotten_soon_after_their_slot(database: Database) -> None:
    store = SqlHistory(database)

    def kept() -> int:
        with database.reading() as connection:
            count: int = connection.execute(select(func.count()).select_from(HISTORY_PEOPLE)).scalar_one()
        return count

    store.add(people("a", "b"), NOON)
    assert kept() == 4

    store.sweep(NOON + HOUR_S + PEOPLE_KEPT_S + 1, most=100)
    assert kept() == 2

    store.sweep(DAY + DAY_S + PEOPLE_KEPT_S + 1, most=100)
    assert kept() == 0
    assert store.counts("acme", DAY_S, since=DAY) == {("oauth_people", DAY): 2}


def test_workers_that_write_at_once_lose_nothing_and_count_nobody_twice(database: Database) -> None:
    """In whatever order each noted things."""
    store = SqlHistory(database)
    names = [f"name-{number}" for number in range(20)]
    everybody = [f"{number:032}" for number in range(200)]

    def worker(number: int) -> None:
        turn = slice(None, None, 1 if number % 2 else -1)
        counts = {("acme", name, NOON): 1 for name in names[turn]}
        store.add(HistoryNotes(people(*everybody[turn]).people, counts), NOON)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(24)))

    found = dict(store.counts("acme", DAY_S, since=DAY))
    assert found.pop(("oauth_people", DAY)) == 200
    assert set(found.values()) == {24}
