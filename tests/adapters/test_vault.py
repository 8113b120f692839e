"""Encryption at rest."""

import pytest
from cryptography.fernet import Fernet

from bridge.adapters.vault import Vault
from bridge.errors import StoreError

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_what_was_sealed_opens() -> None:
    assert Vault([NEW]).open(Vault([NEW]).seal("geheim 🦊")) == "geheim 🦊"


def test_an_old_key_still_opens_and_the_first_one_seals() -> None:
    rotated = Vault([NEW, OLD])
    assert rotated.open(Vault([OLD]).seal("geheim")) == "geheim"
    assert Vault([NEW]).open(rotated.seal("geheim")) == "geheim"


def test_a_missing_key_names_the_setting_and_no_content() -> None:
    with pytest.raises(StoreError) as failed:
        Vault([NEW]).open(Vault([OLD]).seal("geheim"))
    assert "BRIDGE_ENCRYPTION_KEYS" in failed.value.detail
    assert "geheim" not in failed.value.detail


def test_what_is_sealed_holds_neither_the_text_nor_text_at_all() -> None:
    """In base64 a search of the database file for the start of a JWT would find one by chance."""
    sealed = Vault([NEW]).seal("geheim" * 1000)

    assert b"geheim" not in sealed
    assert not sealed.isascii()
