"""Knows the columns with secrets, and encrypts these when they are stored, at an upgrade, and at a key rotation.

The database stores the ID of the key in use, so that it changes in the same transaction as the secrets. Any change of
the key file requires the database's write lock.
"""

import contextlib
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

from postroom.storage import engine
from postroom.storage.audit.record import discard
from postroom.storage.keyring import Key, KeyFileError, Keyring, MissingKeyFileError, UnreadableSecretError
from postroom.storage.sqlite import sqlite3

log = logging.getLogger("postroom.storage")

#: The encrypted columns: (table, column, key of a row, condition that selects the rows).
COLUMNS = (
    ("settings", "value", "name", "name = 'token_key'"),
    ("ldap_configs", "bind_pass", "coalesce(org_id, 0)", "bind_pass IS NOT NULL"),
    ("fetchmail", "src_password", "id", "TRUE"),
)
#: Replaces a secret that can no longer be decrypted.
FORGOTTEN = ""


class Connection(sqlite3.Connection):
    """A connection with the keys of secrets, and the number of its current write."""

    keyring: Keyring
    job = 0


class _Keyed(Protocol):
    keyring: Keyring


def place_of(table: str, column: str, row: object) -> str:
    """The place that an encrypted value is bound to."""
    return f"{table}.{column}.{row}"


def seal(connection: engine.Connection, place: str, text: str) -> str:
    """Encrypts a text for a place, with the key that is in use inside this transaction. KeyFileError."""
    return _keyring(connection).seal(find_key_id(connection) or "", place, text)


def unseal(connection: engine.Connection, place: str, sealed: str) -> str:
    """Decrypts a text that was encrypted for the place. UnreadableSecretError, also for FORGOTTEN."""
    return _keyring(connection).unseal(place, sealed)


def prepare(connection: engine.Connection, path: str, owner_of: Path) -> None:
    """Makes a new database's key file, owned like `owner_of`, and encrypts an older version's secrets. KeyFileError."""
    if find_key_id(connection) is None:
        with _erasing(connection):
            connection.execute("BEGIN IMMEDIATE")
            try:
                # Check again: another process may have done it while this one waited for the lock.
                if find_key_id(connection) is None:
                    _take_over(connection, owner_of)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    check(connection, path)
    if connection.execute("SELECT 1 FROM sealing WHERE remnants <> 0").fetchone():
        _erase_remnants(connection)


def check(connection: engine.Connection, path: str) -> None:
    """Raises KeyFileError unless the key in use is available."""
    keyring = _keyring(connection)
    way = "restore it from your backup, or delete the secrets that it encrypts: postroom key reset"
    try:
        known = {key.id for key in keyring.load()}
    except MissingKeyFileError as error:
        raise KeyFileError(f"{error}, and without it the secrets in {path} cannot be read: {way}") from None
    key_id = find_key_id(connection)
    if key_id is None:
        raise KeyFileError(f"The secrets in {path} are not encrypted yet: the service does that when it starts")
    # Load again: another process may have rotated the keys in between.
    if key_id not in known and key_id not in {key.id for key in keyring.load()}:
        raise KeyFileError(f"The key file {keyring.path} is not the one for the secrets in {path}: {way}")


def rotate(connection: engine.Connection, *, tokens: bool) -> int:
    """Encrypts all secrets with a new key and returns their number. The file keeps the old keys, too.

    With `tokens` it also renews the key that signs tokens. One transaction. KeyFileError, UnreadableSecretError.
    """
    keyring, new = _keyring(connection), Key.made()
    # The key has to be on disk before anything is encrypted with it.
    keyring.replace([new, *keyring.load()])
    count = 0
    with _erasing(connection):
        for table, column, row, sealed in list_stored(connection):
            if sealed != FORGOTTEN:
                place = place_of(table, column, row)
                _update(connection, table, column, row, keyring.seal(new.id, place, keyring.unseal(place, sealed)))
                count += 1
    discard(cast(engine.Writer, connection))
    _use(connection, new.id)
    if tokens:
        renew_token_key(connection)
    return count


def drop_old_keys(connection: engine.Connection) -> None:
    """Removes all keys except the one in use from the file. To be called after a rotation's commit. KeyFileError."""
    keyring, key_id = _keyring(connection), find_key_id(connection)
    # Read the key in use inside this transaction: another process may have rotated the keys again.
    keyring.replace([key for key in keyring.load() if key.id == key_id])


def reset(connection: engine.Connection, path: str) -> dict[str, int]:
    """Deletes the secrets that cannot be decrypted, and encrypts the others with a key that is in the file.

    Returns the number of deleted secrets by table. Fetchmail entries that lose their password become inactive; a lost
    key that signs tokens is renewed. One transaction. KeyFileError.
    """
    keyring = _keyring(connection)
    try:
        keys = keyring.load()
    except MissingKeyFileError:
        keys = keyring.create(Path(path))
    if find_key_id(connection) not in {key.id for key in keys}:
        new = Key.made()
        keyring.replace([new, *keys])
        _use(connection, new.id)
    forgotten: dict[str, int] = {}
    for table, column, row, sealed in list_stored(connection):
        place = place_of(table, column, row)
        if sealed == FORGOTTEN:
            continue
        try:
            _update(connection, table, column, row, seal(connection, place, keyring.unseal(place, sealed)))
        except UnreadableSecretError:
            forgotten[table] = forgotten.get(table, 0) + 1
            _forget(connection, table, column, row)
    return forgotten


def renew_token_key(connection: engine.Connection) -> None:
    """Replaces the key that signs the tokens of logins. This ends all logins, so none is listed any more."""
    sealed = seal(connection, place_of("settings", "value", "token_key"), secrets.token_hex(32))
    upsert = "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    connection.execute(f"INSERT INTO settings (name, value) VALUES ('token_key', ?) {upsert}", (sealed,))
    connection.execute("DELETE FROM sessions")
    # Every process looks at this number before it responds, and reads the key again.
    connection.execute("UPDATE auth_generation SET value = value + 1")


def _take_over(connection: engine.Connection, owner_of: Path) -> None:
    keyring = _keyring(connection)
    try:
        keys = keyring.load()
    except MissingKeyFileError:
        keys = keyring.create(owner_of)
    used = connection.execute("SELECT 1 FROM users UNION ALL SELECT 1 FROM ldap_configs LIMIT 1").fetchone()
    connection.execute("INSERT INTO sealing (id, key_id, remnants) VALUES (1, ?, ?)", (keys[0].id, bool(used)))
    for table, column, row, text in list_stored(connection):
        _update(connection, table, column, row, seal(connection, place_of(table, column, row), text))


def _erase_remnants(connection: engine.Connection) -> None:
    """Rewrites the database file, because SQLite leaves deleted and replaced data in it, including plain secrets."""
    try:
        with _erasing(connection):
            connection.execute("VACUUM")
            if _flush_log(connection):
                connection.execute("UPDATE sealing SET remnants = 0")
                return
        reason = "another process is reading the database"
    except sqlite3.Error as error:
        reason = str(error)
    log.warning("Unused parts of the database may still hold secrets in plain text until the next start: %s", reason)


def _flush_log(connection: engine.Connection) -> bool:
    """Writes the write-ahead log into the file and empties it. False when a reader still uses the log."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


@contextlib.contextmanager
def _erasing(connection: engine.Connection) -> Iterator[None]:
    """Makes SQLite overwrite deleted and replaced data with zeros inside the block."""
    if not isinstance(connection, sqlite3.Connection):
        yield
        return
    (before,) = connection.execute("PRAGMA secure_delete").fetchone()
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        yield
    finally:
        connection.execute(f"PRAGMA secure_delete = {before}").fetchall()


def _keyring(connection: engine.Connection) -> Keyring:
    return cast("_Keyed", connection).keyring


def list_stored(connection: engine.Connection) -> list[tuple[str, str, object, str]]:
    """(table, column, key of the row, encrypted value) of every secret."""
    found = []
    for table, column, row, condition in COLUMNS:
        rows = connection.execute(f"SELECT {row}, {column} FROM {table} WHERE {condition}").fetchall()
        found += [(table, column, row_id, value) for row_id, value in rows]
    return found


def _update(connection: engine.Connection, table: str, column: str, row: object, value: str) -> None:
    (key,) = (each[2] for each in COLUMNS if each[:2] == (table, column))
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (value, row))


def _forget(connection: engine.Connection, table: str, column: str, row: object) -> None:
    if table == "settings":
        renew_token_key(connection)
        return
    _update(connection, table, column, row, FORGOTTEN)
    if table == "fetchmail":
        connection.execute("UPDATE fetchmail SET active = 0 WHERE id = ?", (row,))


def find_key_id(connection: engine.Connection) -> str | None:
    """The ID of the key in use; None while nothing is encrypted."""
    row = connection.execute("SELECT key_id FROM sealing").fetchone()
    return row[0] if row else None


def _use(connection: engine.Connection, key_id: str) -> None:
    connection.execute(
        """
        INSERT INTO sealing (id, key_id, remnants) VALUES (1, ?, 0)
            ON CONFLICT (id) DO UPDATE SET key_id = excluded.key_id
        """,
        (key_id,),
    )
