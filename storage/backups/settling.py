"""What a restored database must not bring back from the time of its backup."""

from dataclasses import dataclass
from typing import Final

from postroom.storage.engine import Connection

#: The states of a task: see storage/tasks.py. Schema 1 had the same.
_UNFINISHED, _ERROR = 2, 4
_INTERRUPTED: Final = "Interrupted: the database was restored from a backup"
#: The setting with the last failure of a scheduled backup.
FAILURE: Final = "backup_failure"
#: Wipes that are requested, and not done yet.
_WIPES: Final = (2, 4, 16, 32)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a person has to know of it."""

    #: Tasks that were waiting or running, and are marked as interrupted.
    tasks: int
    #: Devices that will be wiped at their next contact, as at the time of the backup.
    wipes: int


def settle(connection: Connection) -> Settled:
    """Changes a copy of a backup, of whatever schema, before it gets into its place. One transaction.

    A token that was revoked after the backup would be valid again: a new key for tokens ends all logins. The next start
    makes it. A task of then does not go on.
    """
    connection.execute("DELETE FROM settings WHERE name IN ('token_key', ?)", (FAILURE,))
    done = connection.execute(
        "UPDATE tasks SET state = ?, message = ? WHERE state <= ?", (_ERROR, _INTERRUPTED, _UNFINISHED)
    )
    marks = ", ".join("?" * len(_WIPES))
    (wipes,) = connection.execute(f"SELECT count(*) FROM devices WHERE wipe_status IN ({marks})", _WIPES).fetchone()
    return Settled(done.rowcount, wipes)


def keep_ids(connection: Connection, last_ids: dict[str, int]) -> None:
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
