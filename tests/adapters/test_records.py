"""The contracts of the ledger and the operators' tokens, over every implementation."""

from concurrent.futures import ThreadPoolExecutor

from stores import Stores


def test_an_assertion_counts_once(stores: Stores) -> None:
    assert stores.ledger.claim("portal", "jti-1", 160, now=100)
    assert not stores.ledger.claim("portal", "jti-1", 160, now=101)
    assert not stores.ledger.claim("portal", "jti-1", 160, now=160)
    assert stores.ledger.claim("other", "jti-1", 160, now=101)
    assert stores.ledger.claim("portal", "JTI-1", 160, now=101)


def test_an_assertion_is_forgotten_after_its_end(stores: Stores) -> None:
    assert stores.ledger.claim("portal", "jti-1", 160, now=100)
    assert stores.ledger.claim("portal", "jti-1", 400, now=161)
    assert not stores.ledger.claim("portal", "jti-1", 400, now=300)


def test_issuer_and_id_do_not_run_into_each_other(stores: Stores) -> None:
    assert stores.ledger.claim("a", "bc", 160, now=100)
    assert stores.ledger.claim("ab", "c", 160, now=100)


def test_of_many_at_once_one_claim_wins(stores: Stores) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: stores.ledger.claim("portal", "jti-1", 160, now=100), range(16)))
    assert won.count(True) == 1


def test_operator_tokens_are_known_by_their_hash(stores: Stores) -> None:
    stores.operators.add("ci", "hash-1", 100.0)
    stores.operators.add("ci", "hash-2", 100.0)
    assert stores.operators.name_of("hash-1") == "ci"
    assert stores.operators.name_of("HASH-1") is None
    stores.operators.add("ops", "hash-3", 90.0)
    assert stores.operators.names() == {"ops": 90.0, "ci": 100.0}
    assert stores.operators.remove("ci")
    assert not stores.operators.remove("ci")
    assert [stores.operators.name_of(each) for each in ("hash-1", "hash-2", "hash-3")] == [None, None, "ops"]
