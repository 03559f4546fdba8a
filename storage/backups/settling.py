"""What a restored database must not bring back from the time of its backup."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from postroom.storage.engine import Connection
from postroom.storage.tasks import ERROR, UNFINISHED

_INTERRUPTED: Final = "Interrupted: the database was restored from a backup"
#: The setting with the last failure of a scheduled backup.
FAILURE: Final = "backup_failure"
#: Wipes that are requested, and not done yet.
_WIPES: Final = (2, 4, 16, 32)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the database from before, which has what happened after the backup."""

    #: Table -> the last ID that it has given.
    last_ids: Mapping[str, int]
    #: What each token for a program may do, by its hash.
    tokens: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a person has to know of it."""

    #: Tasks that were waiting or running, and are marked as interrupted.
    tasks: int
    #: Devices that will be wiped at their next contact, as at the time of the backup.
    wipes: int
    #: Tokens for programs that are not valid any more.
    tokens: int


def look(connection: Connection) -> Known:
    """What is to be known of a database."""
    return Known(dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()), _tokens(connection))


def settle(connection: Connection, known: Known | None, *, keep_tokens: bool) -> Settled:
    """Changes a copy of a backup, of whatever schema, before it gets into its place. In one transaction of the caller.

    A login that was ended after the backup would be valid again: a new key for tokens, which the next start makes, ends
    all logins. So would a token for a program that was revoked or narrowed; those are kept that are still the same
    in the database from before, or all if that is wanted. A task of then does not go on.
    """
    connection.execute("DELETE FROM settings WHERE name IN ('token_key', ?)", (FAILURE,))
    if _has(connection, "sessions"):
        connection.execute("DELETE FROM sessions")
    # The states were the same in schema 1.
    done = connection.execute(
        "UPDATE tasks SET state = ?, message = ? WHERE state <= ?", (ERROR, _INTERRUPTED, max(UNFINISHED))
    )
    marks = ", ".join("?" * len(_WIPES))
    (wipes,) = connection.execute(f"SELECT count(*) FROM devices WHERE wipe_status IN ({marks})", _WIPES).fetchone()
    tokens = _tokens(connection)
    over = (
        [] if keep_tokens else [token for token in tokens if known is None or known.tokens.get(token) != tokens[token]]
    )
    for token in over:
        connection.execute("DELETE FROM api_tokens WHERE hash = ?", (token,))
    if known is not None:
        _keep_ids(connection, known.last_ids)
    return Settled(done.rowcount, wipes, len(over))


def _tokens(connection: Connection) -> dict[str, object]:
    if not _has(connection, "api_tokens"):
        return {}
    rows = connection.execute(
        "SELECT hash, id, user_id, scoped, read_only, networks, expires FROM api_tokens"
    ).fetchall()
    limits = connection.execute(
        "SELECT token_id, permission, domain_id, org_id, everything FROM api_token_permissions"
    ).fetchall()
    by_token: dict[int, set[object]] = {}
    for token_id, *limit in limits:
        by_token.setdefault(token_id, set()).add(tuple(limit))
    return {token: ([token_id, *rest], by_token.get(token_id)) for token, token_id, *rest in rows}


def _has(connection: Connection, table: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,))
    return found.fetchone() is not None


def _keep_ids(connection: Connection, last_ids: Mapping[str, int]) -> None:
    """Lets IDs go on behind those that were given after the backup: none ever comes back for something else."""
    for table, last in last_ids.items():
        connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, table))
        connection.execute(
            """
            INSERT INTO sqlite_sequence (name, seq)
            SELECT name, ? FROM sqlite_schema
             WHERE name = ? AND type = 'table' AND name NOT IN (SELECT name FROM sqlite_sequence)
            """,
            (last, table),
        )
