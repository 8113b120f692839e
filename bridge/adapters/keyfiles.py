"""Signing keys as files in one folder: `<name>.pem`, a private key, beside `<name>.crt`, its certificate."""

import os
import re
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from bridge.errors import ConfigError

MIN_BITS = 2048
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
PRIVATE = 0o600
PUBLIC = 0o644
CLOCKS_DIFFER_BY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What `create` wrote. `key_id` is a proposal for the tenant's JWT identity provider."""

    key_path: Path
    certificate_path: Path
    key_id: str
    certificate_pem: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key in the folder; `expires` (ISO 8601 date) and `fingerprint` are its certificate's, or empty."""

    name: str
    bits: int
    expires: str
    fingerprint: str


class KeyFiles:
    """Implements ports.SigningKeys and ports.Probe. A key is parsed once, and again when its file has changed."""

    name = "signing_keys"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, tuple[tuple[int, ...], RSAPrivateKey]] = {}
        self._guard = threading.Lock()

    def load(self, name: str) -> RSAPrivateKey:
        """Return the key in file *name*. Raises ConfigError, which says what to do."""
        path = self._path(name)
        try:
            found = path.stat()
        except OSError as error:
            raise ConfigError([_missing(path, error)]) from error
        version = (found.st_mtime_ns, found.st_ino, found.st_size)  # a file put in place may bring its old time along
        with self._guard:
            kept = self._kept.get(name)
            if kept is None or kept[0] != version:
                kept = self._kept[name] = (version, _read_key(path))
        return kept[1]

    def check(self) -> None:
        """Raise ConfigError when the folder cannot be read."""
        if not os.access(self._folder, os.R_OK | os.X_OK):
            raise ConfigError([f"BRIDGE_KEYS_DIR={self._folder} cannot be read; make the folder, or name another one"])

    def create(self, name: str, *, bits: int = 4096, days: int = 1825) -> KeyPair:
        """Write a fresh key and its self-signed certificate. Raises ConfigError; nothing is ever overwritten."""
        key_path, certificate_path = self._path(f"{name}.pem"), self._path(f"{name}.crt")
        if bits not in {2048, 4096}:
            raise ConfigError(["a signing key has 2048 or 4096 bits"])
        key = generate_private_key(public_exponent=65537, key_size=bits)
        certificate = _self_signed(key, name, timedelta(days=days))
        pem = certificate.public_bytes(Encoding.PEM)
        self._make_folder()
        _refuse_existing(key_path, certificate_path)
        _write_new(key_path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), PRIVATE)
        _write_new(certificate_path, pem, PUBLIC)
        fingerprint = _fingerprint(certificate)
        key_id = f"{name}-{fingerprint.replace(':', '')[:8].lower()}"
        return KeyPair(key_path, certificate_path, key_id, pem.decode(), fingerprint)

    def list(self) -> Sequence[KeyFile]:
        """Return every usable private key by name."""
        return [found for path in self._private_keys() if (found := self._described(path))]

    def warnings(self) -> Sequence[str]:
        """Return a sentence for each private key that others on this machine can read."""
        exposed = (path for path in self._private_keys() if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
        return [f"{path} can be read by others on this machine; run chmod 600 {path}" for path in exposed]

    def _path(self, name: str) -> Path:
        if not PLAIN_NAME.fullmatch(name):
            raise ConfigError([f"{name!r} is no key name: use letters, digits, dots, dashes and underscores"])
        return self._folder / name

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError([_unwritable(self._folder, error)]) from error

    def _private_keys(self) -> Sequence[Path]:
        files = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        return [path for path in files if path.is_file() and _holds_private_key(path)]

    def _described(self, path: Path) -> KeyFile | None:
        try:
            bits = self.load(path.name).key_size
        except ConfigError:
            return None
        certificate = _read_certificate(path.with_suffix(".crt"))
        if certificate is None:
            return KeyFile(path.name, bits, "", "")
        expires = certificate.not_valid_after_utc.date().isoformat()
        return KeyFile(path.name, bits, expires, _fingerprint(certificate))


def _missing(path: Path, error: OSError) -> str:
    return f"the signing key {path} cannot be read ({error.strerror}); make one with `qlik-bridge keys new {path.stem}`"


def _unwritable(path: Path, error: OSError) -> str:
    return f"cannot write {path} ({error.strerror}); choose another BRIDGE_KEYS_DIR"


def _read_key(path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError([_missing(path, error)]) from error
    except TypeError:
        raise ConfigError([f"the signing key {path} has a password; store it without one, mode 0600"]) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError([f"{path} is not a private key in PEM form; make one with `qlik-bridge keys new`"]) from None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError([f"{path} is not an RSA key, and Qlik Cloud takes RS256; use `qlik-bridge keys new`"])
    if key.key_size < MIN_BITS:
        raise ConfigError([f"{path} has {key.key_size} bits; {MIN_BITS} is the least; use `qlik-bridge keys new`"])
    return key


def _holds_private_key(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"PRIVATE KEY-----" in file.read(4096)
    except OSError:
        return False


def _read_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _refuse_existing(*paths: Path) -> None:
    """Look before the first file is written; each write looks again."""
    taken = [f"{path} exists already and is never overwritten; choose another name" for path in paths if path.exists()]
    if taken:
        raise ConfigError(taken)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise ConfigError([f"{path} exists already and is never overwritten; choose another name"]) from None
    except OSError as error:
        raise ConfigError([_unwritable(path, error)]) from error


def _self_signed(key: RSAPrivateKey, name: str, life: timedelta) -> x509.Certificate:
    """Return the certificate to upload (Qlik: "Create signed tokens for JWT authorization")."""
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer_name=who, subject_name=who, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER_BY)
        .not_valid_after(now + life)
        .sign(key, hashes.SHA256())
    )


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
