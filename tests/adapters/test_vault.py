"""Encryption at rest."""

from cryptography.fernet import Fernet

from bridge.adapters.vault import Vault

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_what_was_sealed_opens() -> None:
    assert Vault([NEW]).open(Vault([NEW]).seal("geheim 🦊")) == "geheim 🦊"


def test_an_old_key_still_opens_and_the_first_one_seals() -> None:
    rotated = Vault([NEW, OLD])
    assert rotated.open(Vault([OLD]).seal("geheim")) == "geheim"
    assert Vault([NEW]).open(rotated.seal("geheim")) == "geheim"


def test_what_no_key_sealed_stays_closed() -> None:
    sealed = Vault([OLD]).seal("geheim")
    assert Vault([NEW]).open(sealed) is None
    assert Vault([NEW]).place(sealed) is None
    assert Vault([NEW]).reseal(sealed) is None
    assert Vault([NEW]).open(b"") is None


def test_the_place_of_the_key_is_told_and_a_new_seal_has_the_first() -> None:
    rotated = Vault([NEW, OLD])
    sealed = Vault([OLD]).seal("geheim")
    anew = rotated.reseal(sealed)
    assert (rotated.keys, rotated.place(sealed)) == (2, 1)
    assert anew is not None
    assert rotated.place(anew) == 0
    assert Vault([NEW]).open(anew) == "geheim"


def test_what_is_sealed_holds_neither_the_text_nor_text_at_all() -> None:
    """In base64 a search of the database file for the start of a JWT would find one by chance."""
    sealed = Vault([NEW]).seal("geheim" * 1000)

    assert b"geheim" not in sealed
    assert not sealed.isascii()
