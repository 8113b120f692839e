"""people.csv: what it may say, and whom it leaves out."""

import pytest
from fakes import START, FakeClock, FakeSubjects

from bridge.errors import ConfigError
from bridge.model import Subject
from bridge.services.parity_people import Roster, Row, read_people

HEAD = "sub,name,email,groups,as_of\n"


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read_people(text, now=START)
    return list(error.value.mistakes)


def test_groups_are_a_list_of_either_kind() -> None:
    ada, bob = "ada,Ada,ada@x,Finance; EMEA ,1700000000", 'bob,Bob,,"[""A;B""]",2023-01-01T00:00:00+01:00'
    rows = read_people(f"\ufeff{HEAD}{ada}\n{bob}\ncarol,,,,\n", now=START)

    assert rows[0] == Row("ada", Subject("ada", "Ada", "ada@x", frozenset({"Finance", "EMEA"})), 1_700_000_000)
    assert rows[1].facts is not None
    assert (sorted(rows[1].facts.groups), rows[1].as_of) == (["A;B"], 1_672_527_600.0)
    assert rows[2] == Row("carol")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name\nada\n", "`sub` among them"),
        ("sub,role\nada,x\n", "unknown column `role`"),
        (f"{HEAD}ada,Ada,,,yesterday\n", "ISO 8601"),
        (f"{HEAD}ada,Ada,,,2023-01-01T00:00:00\n", "needs a time zone"),
        (f"{HEAD}ada,Ada,,,{START + 1}\n", "in the future"),
        (f"{HEAD}ada,Ada,,Finance,EMEA,1700000000\n", "more cells than columns"),
        (f'{HEAD}ada,Ada,,"[1]",1700000000\n', "JSON list"),
        (f"{HEAD}ada,Ada,,[x,1700000000\n", "JSON list"),
        ("sub;name;email;groups;as_of\nada;Ada;;;1700000000\n", "commas between columns"),
        ("sub\tname\nada\tAda\n", "commas between columns"),
        ("sub,name,sub\nada,Ada,bob\n", "`sub` is there twice"),
        ("sub\n   \n", "`sub` is empty"),
        ("sub\na\x00da\n", "`sub` holds control characters"),
        (f'{HEAD}"a\nda",Ada,,,1700000000\n', "`sub` holds control characters"),
        (f"{HEAD}ada,A\x1bda,,,1700000000\n", "`name` holds control characters"),
        (f"{HEAD}ada,Ada,,Fin\x07ance,1700000000\n", "`groups` holds control characters"),
        (f'{HEAD}ada,Ada,,"[""Fin\\u0000ance""]",1700000000\n', "`groups` holds control characters"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    (mistake,) = mistakes(text)

    assert said in mistake


def test_newer_facts_count_and_older_ones_only_where_they_agree() -> None:
    subjects = FakeSubjects()
    known = Subject("ada", "Ada", "", frozenset({"Finance"}))
    subjects.note("acme", known, 1_700_000_100)
    roster = Roster(subjects, FakeClock())

    def judged(line: str) -> object:
        people, left = roster.read("acme", f"{HEAD}{line}\n")
        assert len(people) + len(left) == 1
        return left[0].why if left else (sorted(people[0].subject.groups), people[0].asserted_at)

    assert judged("ada,Ada,,Sales,1700000200") == (["Sales"], 1_700_000_200)
    assert judged("ada,Ada,,Finance,1700000000") == (["Finance"], 1_700_000_100)
    assert judged("ada,,,,") == (["Finance"], 1_700_000_100)
    assert "older than what the portal said since" in str(judged("ada,Ada,,Sales,1700000100"))
    assert "nobody of this subject" in str(judged("bob,,,,"))
