"""The contracts of the ledger and the operators' tokens, over every implementation."""

from concurrent.futures import ThreadPoolExecutor

from stores import Stores

from bridge.roles import Grant, OperatorToken, Role


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
    ci, again = OperatorToken("ci", Grant(Role.ADMIN), 100.0), OperatorToken("ci", Grant(Role.VIEWER), 110.0)
    ops = OperatorToken("ops", Grant(Role.OPERATOR, "acme"), 90.0)
    named = ((ci, "hash-1"), (again, "hash-2"), (ops, "hash-3"))
    assert [stores.operators.add(token, token_hash) for token, token_hash in named] == [True, False, True]

    assert stores.operators.find("hash-1") == ci
    assert stores.operators.find("HASH-1") is None
    assert list(stores.operators.all()) == [ops, ci]
    assert stores.operators.remove("ci")
    assert not stores.operators.remove("ci")
    assert [stores.operators.find(each) for each in ("hash-1", "hash-2", "hash-3")] == [None, None, ops]


def test_of_operator_tokens_made_at_once_one_gets_the_name(stores: Stores) -> None:
    token = OperatorToken("ci", Grant(Role.ADMIN), 100.0)
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda number: stores.operators.add(token, f"hash-{number}"), range(8)))

    assert (kept.count(True), list(stores.operators.all())) == (1, [token])
