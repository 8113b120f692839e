"""Signing keys as files."""

import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from fakes import FakeClock

from bridge.adapters.keyfiles import KeyFiles
from bridge.adapters.qlik_proof import _signing_key, proof
from bridge.errors import ConfigError
from bridge.model import OAuthClient, Subject, Tenant
from bridge.services.signer import Signer

BREAKABLE = 1024


@pytest.fixture
def files(tmp_path: Path) -> KeyFiles:
    return KeyFiles(tmp_path / "keys")


def pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption | None = None
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def test_a_new_key_loads_and_its_certificate_fits(files: KeyFiles) -> None:
    pair = files.create("acme", bits=2048, days=30)
    key = files.load("acme.pem")
    certificate = x509.load_pem_x509_certificate(pair.certificate_pem.encode())
    assert key.key_size == 2048
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(certificate)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 30
    assert pair.certificate_path.read_text() == pair.certificate_pem
    assert pair.key_path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert pair.key_path.stat().st_mode & 0o777 == 0o600
    assert pair.key_id.startswith("acme-")


def test_a_key_is_parsed_once_and_again_when_it_changed(files: KeyFiles) -> None:
    pair = files.create("acme", bits=2048)
    first = files.load("acme.pem")
    assert files.load("acme.pem") is first
    other = rsa.generate_private_key(65537, 2048)
    pair.key_path.write_bytes(pem(other))
    os.utime(pair.key_path, ns=(1, 1))
    assert files.load("acme.pem").private_numbers() == other.private_numbers()


def test_nothing_is_overwritten(files: KeyFiles) -> None:
    pair = files.create("acme", bits=2048)
    before = pair.key_path.read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        files.create("acme", bits=2048)
    pair.key_path.unlink()
    with pytest.raises(ConfigError, match=r"acme\.crt exists already"):
        files.create("acme", bits=2048)
    assert not pair.key_path.exists()
    assert before


@pytest.mark.parametrize(
    "name", ["../acme", "a/b", "/etc/passwd", "", ".hidden", "a\\b", "a\0b", "a b", "a\n", "x" * 200]
)
def test_a_name_is_a_plain_file_name(files: KeyFiles, name: str) -> None:
    with pytest.raises(ConfigError, match="no key name"):
        files.load(name)
    with pytest.raises(ConfigError, match="no key name"):
        files.create(name, bits=2048)


def test_other_sizes_are_refused(files: KeyFiles) -> None:
    with pytest.raises(ConfigError, match="2048 or 4096"):
        files.create("acme", bits=1024)


def test_what_cannot_be_used_says_what_to_do(files: KeyFiles, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    good = rsa.generate_private_key(65537, 2048)
    contents = {
        "small.pem": (pem(rsa.generate_private_key(65537, BREAKABLE)), "1024 bits"),
        "curve.pem": (pem(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
        "locked.pem": (pem(good, BestAvailableEncryption(b"geheim")), "has a password"),
        "text.pem": (b"hello", "not a private key"),
        "empty.pem": (b"", "not a private key"),
        "missing.pem": (None, "qlik-bridge keys new missing"),
    }
    for name, (content, sentence) in contents.items():
        if content is not None:
            (folder / name).write_bytes(content)
        with pytest.raises(ConfigError, match=sentence):
            files.load(name)
    (folder / "folder.pem").mkdir()
    with pytest.raises(ConfigError, match=r"folder\.pem"):
        files.load("folder.pem")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(ConfigError, match="BRIDGE_KEYS_DIR"):
        KeyFiles(tmp_path / "keys").create("acme", bits=2048)


def test_keys_are_listed_with_their_certificates(files: KeyFiles, tmp_path: Path) -> None:
    assert files.list() == []
    pair = files.create("acme", bits=2048, days=30)
    bare = tmp_path / "keys" / "bare.pem"
    bare.write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    (tmp_path / "keys" / "README.md").write_text("not a key")
    (tmp_path / "keys" / "small.pem").write_bytes(pem(rsa.generate_private_key(65537, BREAKABLE)))
    expires = x509.load_pem_x509_certificate(pair.certificate_pem.encode()).not_valid_after_utc.date().isoformat()
    assert [(each.name, each.bits, each.expires, each.fingerprint) for each in files.list()] == [
        ("acme.pem", 2048, expires, pair.fingerprint),
        ("bare.pem", 2048, "", ""),
    ]


def test_keys_that_others_can_read_are_warned_of(files: KeyFiles) -> None:
    pair = files.create("acme", bits=2048)
    assert list(files.warnings()) == []
    for mode in (0o640, 0o604):
        pair.key_path.chmod(mode)
        assert list(files.warnings()) == [
            f"{pair.key_path} can be read by others on this machine; run chmod 600 {pair.key_path}"
        ]


def test_a_file_put_in_place_with_its_old_time_is_read_again(files: KeyFiles) -> None:
    pair = files.create("acme", bits=2048)
    files.load("acme.pem")
    found = pair.key_path.stat()
    other = rsa.generate_private_key(65537, 2048)
    put = pair.key_path.with_name("put.pem")
    put.write_bytes(pem(other))
    os.utime(put, ns=(found.st_atime_ns, found.st_mtime_ns))
    put.rename(pair.key_path)
    assert files.load("acme.pem").private_numbers() == other.private_numbers()


def test_no_signature_parses_a_key_again(
    files: KeyFiles, acme: Tenant, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To parse a key of 4096 bits takes as long as a hundred signatures."""
    files.create("acme", bits=2048)
    files.create("proof", bits=2048)
    client = OAuthClient(id="issuing", key="proof.pem", key_id="k-2")
    tenant = acme.model_copy(update={"issuing_client": client})
    kept = [files.load("acme.pem"), files.load("proof.pem")]

    def parses(*_: object, **__: object) -> None:
        pytest.fail("a key was parsed")

    monkeypatch.setattr("bridge.adapters.keyfiles.load_pem_private_key", parses)
    for _ in range(2):
        Signer(files, clock).for_sync(tenant, Subject("alice", "Alice", "", frozenset()))
        assert proof(tenant, client, files, clock())["client_assertion"]
        assert _signing_key(client, files).raw_value is kept[1]
    assert files.load("acme.pem") is kept[0]
