"""The keys of stored secrets. They are in a file outside the database, and encrypt and decrypt with AES-256-GCM.

An encrypted text is bound to its place (table, column, row): copied to another place, it cannot be decrypted.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.storage.files import write_private

#: The prefix of an encrypted text. Triggers of the schema use it, too.
MARK = "sealed:"
_HEADER = "# postroom: keys of stored secrets, newest first. Keep a copy, but not beside copies of the database."
_KEY_BYTES, _NONCE_BYTES = 32, 12
#: Longest key file, in bytes.
_LONGEST = 64 * 1024


class KeyFileError(Exception):
    """The key file cannot be used. The text has the reason and a remedy, in one line."""


class MissingKeyFileError(KeyFileError):
    """There is no key file."""


class UnreadableSecretError(Exception):
    """A stored secret cannot be decrypted: its key is unknown, or it was encrypted for another place."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key. Its ID is derived from the key, but reveals nothing about it."""

    raw: bytes = field(repr=False)

    @classmethod
    def made(cls) -> "Key":
        """A new random key."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    @property
    def id(self) -> str:
        """16 hexadecimal digits."""
        return hashlib.sha256(b"postroom key" + self.raw).hexdigest()[:16]


def key_file_of(database: str, key_file: str | None) -> str:
    """The file with the keys of a database's secrets: the one of the setting, or else the one beside the database."""
    return key_file or f"{database}.key"


class Keyring:
    """The keys of a file, read when they are first needed. Without a path, one random key in memory.

    Keys stay in memory while the process runs, so that secrets read before a rotation can still be decrypted.
    """

    def __init__(self, path: str | None) -> None:
        self.path = Path(path) if path is not None else None
        self._keys = _by_id([] if path is not None else [Key.made()])

    def load(self) -> list[Key]:
        """The current keys of the file, newest first. KeyFileError, MissingKeyFileError."""
        if self.path is not None:
            found = _read(self.path)
            self._keys = {**self._keys, **_by_id(found)}
            return found
        return list(self._keys.values())

    def create(self, owner_of: Path) -> list[Key]:
        """Creates the file with one key; root gives it to the owner of `owner_of`. KeyFileError (also: it exists)."""
        return self._write([Key.made()], self.path, owner_of, replace=False)

    def replace(self, keys: Sequence[Key]) -> None:
        """Replaces the keys of the file, atomically. KeyFileError."""
        # Replace the target of a link, not the link.
        path = self.path.resolve() if self.path is not None else None
        self._write(keys, path, path, replace=True)

    def seal(self, key_id: str, place: str, text: str) -> str:
        """Encrypts a text with a key for a place. KeyFileError when the file does not have that key."""
        key = self._find(key_id)
        if key is None:
            raise KeyFileError(f"The key file {self.path} is missing or is the wrong one: it lacks the key in use")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(key.raw).encrypt(nonce, text.encode(), place.encode())
        return f"{MARK}{key_id}:{base64.b64encode(nonce + sealed).decode()}"

    def unseal(self, place: str, sealed: str) -> str:
        """Decrypts a text that was encrypted for the place. UnreadableSecretError."""
        if not sealed.startswith(MARK):
            raise UnreadableSecretError(f"The value of {place} is not encrypted")
        key_id, _, rest = sealed.removeprefix(MARK).partition(":")
        key = self._find(key_id)
        if key is None:
            raise UnreadableSecretError(f"The value of {place} was encrypted with an unknown key")
        try:
            raw = base64.b64decode(rest, validate=True)
            return AESGCM(key.raw).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError):
            raise UnreadableSecretError(f"The value of {place} was not encrypted for this place") from None

    def _find(self, key_id: str) -> Key | None:
        if key_id not in self._keys:
            # Another process may have rotated the keys.
            with contextlib.suppress(KeyFileError):
                self.load()
        return self._keys.get(key_id)

    def _write(self, keys: Sequence[Key], path: Path | None, owner_of: Path | None, *, replace: bool) -> list[Key]:
        if path is not None:
            lines = [_HEADER, *(base64.b64encode(key.raw).decode() for key in keys), ""]
            try:
                write_private(path, "\n".join(lines).encode(), owner_of=owner_of or path, replace=replace)
            except OSError as error:
                raise KeyFileError(f"The key file {path} cannot be written: {error.strerror}") from None
        self._keys = {**self._keys, **_by_id(keys)}
        return list(keys)


def _by_id(keys: Sequence[Key]) -> dict[str, Key]:
    return {key.id: key for key in keys}


def _read(path: Path) -> list[Key]:
    try:
        # O_NONBLOCK, because the path may be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MissingKeyFileError(f"The key file {path} is missing") from None
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be read: {error.strerror}") from None
    try:
        # Check the opened file, because the path may lead to another one by now.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"{path} is not a key file of postroom")
        if status.st_mode & 0o077:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            raise KeyFileError(f"Others may use the key file {path} (mode {mode}); allow its owner alone: chmod 600")
        if os.geteuid() not in (0, status.st_uid) and status.st_uid != 0:
            raise KeyFileError(f"The key file {path} belongs to somebody else, who can read it")
        return _parse(path, os.read(descriptor, _LONGEST + 1))
    finally:
        os.close(descriptor)


def _parse(path: Path, text: bytes) -> list[Key]:
    keys = []
    with contextlib.suppress(UnicodeDecodeError, binascii.Error):
        lines = text.decode("ascii").splitlines()
        keys = [Key(base64.b64decode(line, validate=True)) for line in lines[1:] if line.strip()]
        if not lines or not lines[0].startswith(_HEADER.partition(":")[0]) or len(text) > _LONGEST:
            keys = []
    if not keys or any(len(key.raw) != _KEY_BYTES for key in keys):
        raise KeyFileError(f"{path} is not a key file of postroom, or is damaged: put it back from your backup")
    return keys
