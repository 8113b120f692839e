"""Noting who uses the JWT path: cheap, bounded, and in nobody's way."""

from types import SimpleNamespace

import pytest
from fakes import START, FakeClock, FakeJwtUses
from samples import identity, state

from bridge.errors import StoreError
from bridge.model import Stage
from bridge.services.stragglers import ORIGINS_AN_HOUR, OTHERS, Stragglers, agent_family
from bridge.telemetry import Metrics
from bridge.trail import JwtUse, Whence

PORTAL = Whence("https://portal.example", "Chrome")
NOW = state(Stage.OAUTH)

MOZILLA = "Mozilla/5.0"
WINDOWS, IPHONE = "(Windows NT 10.0; Win64; x64)", "(iPhone; CPU iPhone OS 18_0 like Mac OS X)"
CHROME = f"{MOZILLA} {WINDOWS} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


@pytest.fixture
def uses() -> FakeJwtUses:
    return FakeJwtUses()


@pytest.fixture
def stragglers(uses: FakeJwtUses, clock: FakeClock, metrics: Metrics) -> Stragglers:
    return Stragglers(uses, clock, metrics)


@pytest.mark.parametrize(
    ("header", "family"),
    [
        (CHROME, "Chrome"),
        (f"{CHROME} Edg/140.0.0.0", "Edge"),
        (f"{CHROME} OPR/120.0.0.0", "Opera"),
        (CHROME.replace("Chrome/", "SamsungBrowser/28.0 Chrome/"), "Samsung Internet"),
        (CHROME.replace("Chrome/", "HeadlessChrome/"), "Chrome"),
        (f"{MOZILLA} {WINDOWS} Gecko/20100101 Firefox/143.0", "Firefox"),
        (
            f"{MOZILLA} {IPHONE} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari",
        ),
        (f"{MOZILLA} (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15", "Safari"),
        (f"{MOZILLA} {IPHONE} AppleWebKit/605.1.15 CriOS/140.0 Mobile/15E148 Safari/604.1", "Chrome"),
        (f"{MOZILLA} {IPHONE} AppleWebKit/605.1.15 FxiOS/143.0 Mobile/15E148 Safari/605.1.15", "Firefox"),
        (f"{MOZILLA} {IPHONE} AppleWebKit/605.1.15 Version/18.0 EdgiOS/140.0 Mobile/15E148 Safari/604.1", "Edge"),
        (f"{MOZILLA} {WINDOWS} Trident/7.0; rv:11.0 like Gecko", "other browser"),
        ("python-requests/2.32", "program"),
        ("curl/8.5.0", "program"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_browsers_are_told_by_family(header: str, family: str) -> None:
    assert agent_family(header) == family


def test_a_use_is_noted_once_an_hour(clock: FakeClock) -> None:
    written: list[JwtUse] = []
    stragglers = Stragglers(SimpleNamespace(note=written.append), clock, Metrics())
    for _ in range(3):
        stragglers.note(NOW, identity(), PORTAL)
    clock.advance(3600)
    stragglers.note(NOW, identity(), PORTAL)
    stragglers.flush()

    assert [(each.sub, each.whence, each.last_seen) for each in written] == [
        ("alice", PORTAL, START),
        ("alice", PORTAL, START + 3600),
    ]


def test_another_person_page_or_browser_is_another_use(stragglers: Stragglers, uses: FakeJwtUses) -> None:
    for who, whence in (
        ("alice", PORTAL),
        ("bob", PORTAL),
        ("alice", Whence()),
        ("alice", Whence(PORTAL.origin, "Edge")),
    ):
        stragglers.note(NOW, identity(who), whence)
    stragglers.flush()

    assert len(uses.rows) == 4


def test_nothing_is_lost_while_nothing_can_be_written(stragglers: Stragglers, uses: FakeJwtUses) -> None:
    uses.broken = True
    stragglers.note(NOW, identity(), PORTAL)
    with pytest.raises(StoreError):
        stragglers.flush()
    stragglers.note(NOW, identity("bob"), PORTAL)
    uses.broken = False
    stragglers.flush()

    assert [sub for _, sub, _ in uses.rows] == ["alice", "bob"]


def test_what_finds_no_room_is_counted_and_noted_the_next_time(
    uses: FakeJwtUses, clock: FakeClock, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.services.later.MOST_NOTED", 2)
    stragglers = Stragglers(uses, clock, metrics)
    uses.broken = True
    for sub in ("alice", "bob", "carol"):
        stragglers.note(NOW, identity(sub), PORTAL)
    assert metrics.registry.get_sample_value("bridge_measures_lost_total") == 1
    uses.broken = False
    stragglers.flush()
    stragglers.note(NOW, identity("carol"), PORTAL)
    uses.broken = True
    stragglers.close()

    assert [sub for _, sub, _ in uses.rows] == ["alice", "bob"]
    assert metrics.registry.get_sample_value("bridge_measures_lost_total") == 2


def test_nobody_fills_the_disk_with_invented_origins(stragglers: Stragglers, uses: FakeJwtUses) -> None:
    for number in range(100):
        stragglers.note(NOW, identity(), Whence(f"https://invented-{number}.example", "program"))
    stragglers.note(NOW, identity("bob"), PORTAL)
    stragglers.flush()

    origins = {use.whence.origin for use in uses.rows.values()}
    assert len(origins) == ORIGINS_AN_HOUR + 2
    assert {OTHERS, PORTAL.origin} <= origins
