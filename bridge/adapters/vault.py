"""Encryption at rest: Fernet (AES-128-CBC with HMAC-SHA256), several keys so that one can be replaced."""

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bridge.errors import StoreError


class Vault:
    """Seals texts with the first key and opens what any of the keys sealed."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, text: str) -> bytes:
        """Return *text* encrypted with the first key, as bytes: Fernet's base64 would be a third longer."""
        return base64.urlsafe_b64decode(self._fernet.encrypt(text.encode()))

    def open(self, sealed: bytes) -> str:
        """Return the text. Raises StoreError when none of the keys sealed it."""
        try:
            return self._fernet.decrypt(base64.urlsafe_b64encode(sealed)).decode()
        except InvalidToken:
            raise StoreError(detail="a stored secret was sealed with a key that BRIDGE_ENCRYPTION_KEYS lacks") from None
