"""Makes slow steps cheap for tests that are about something else: hashes, failed logins, new databases in memory."""

from threading import Lock
from typing import Final

import argon2
import pytest

from postroom.app.auth import passwords
from postroom.storage import connections
from postroom.storage.migrations import Backup, Migration, migrate, migrations, version_of
from postroom.storage.sqlite import sqlite3

_HASHER: Final = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_CHEAP: Final = _HASHER, _HASHER.hash("nobody knows this"), 0.01
_GENUINE: Final = passwords._HASHER, passwords._DUMMY_HASH, passwords.Passwords.failure_step

#: List of migrations -> an empty database made by them.
_MADE: Final[dict[tuple[Migration, ...], sqlite3.Connection]] = {}
_MAKING: Final = Lock()


def choose_prices(item: pytest.Item) -> None:
    """Call this before any fixture of a test. Tests marked `genuine`, attacks and measurements keep the real steps.

    These take 30 ms for a hash, 250 ms for a failed login and 10 ms for the migrations: too much for thousands of
    tests that start a service.
    """
    genuine = any(item.get_closest_marker(name) for name in ("genuine", "attack", "slow"))
    hasher, dummy, step = _GENUINE if genuine else _CHEAP
    passwords._HASHER, passwords._DUMMY_HASH, passwords.Passwords.failure_step = hasher, dummy, step
    connections.migrate = migrate if genuine else _copy_or_migrate  # type: ignore[attr-defined]


def _copy_or_migrate(connection: sqlite3.Connection, backup: Backup) -> None:
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    if journal != "memory" or version_of(connection):
        migrate(connection, backup)
        return
    with _MAKING:
        made = _MADE.get(migrations())
        if made is not None:
            made.backup(connection)
            return
        migrate(connection, backup)
        made = _MADE[migrations()] = sqlite3.connect(":memory:", check_same_thread=False)
        connection.backup(made)
