"""Encryption at rest: Fernet (AES-128-CBC with HMAC-SHA256), several keys so that one can be replaced."""

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken


class Vault:
    """Seals texts with the first key and opens what any of the keys sealed."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [Fernet(key) for key in keys]

    @property
    def keys(self) -> int:
        """Return how many keys there are."""
        return len(self._keys)

    def seal(self, text: str) -> bytes:
        """Return *text* encrypted with the first key, as bytes: Fernet's base64 would be a third longer."""
        return base64.urlsafe_b64decode(self._keys[0].encrypt(text.encode()))

    def open(self, sealed: bytes) -> str | None:
        """Return the text, None when none of the keys sealed it."""
        return self._opened(sealed)[1]

    def place(self, sealed: bytes) -> int | None:
        """Return the place of the key that sealed it, 0 for the first, None when none did."""
        return self._opened(sealed)[0]

    def reseal(self, sealed: bytes) -> bytes | None:
        """Return the same text encrypted with the first key, None when none of the keys sealed it."""
        text = self.open(sealed)
        return None if text is None else self.seal(text)

    def _opened(self, sealed: bytes) -> tuple[int, str] | tuple[None, None]:
        token = base64.urlsafe_b64encode(sealed)
        for place, key in enumerate(self._keys):
            try:
                return place, key.decrypt(token).decode()
            except InvalidToken:
                continue
        return None, None
