"""Writes the states of ActiveSync devices, their requested resyncs and the history of wipes, inside a transaction."""

import json
from collections.abc import Iterable, Mapping

from postroom.storage.engine import Connection

#: Most devices of one user. A limit is needed, because anybody with the user's password can invent devices.
MOST_DEVICES = 1000
#: Most requested resyncs of one user. The latest requests stay.
MOST_RESYNCS = 1000
#: How many of the latest wipe status changes to keep, for each device and for all devices of a user.
HISTORY_OF_DEVICE, HISTORY_OF_USER = 100, 1000
#: The reported fields of a device: name in the API -> column.
COLUMNS = {
    "devicetype": "device_type",
    "useragent": "user_agent",
    "deviceuser": "device_user",
    "firstsynctime": "first_sync_time",
    "lastupdatetime": "last_update_time",
    "lastconnecttime": "last_connect_time",
    "asversion": "as_version",
    "foldersSyncable": "folders_syncable",
    "foldersSynced": "folders_synced",
}


def list_statuses(connection: Connection, user_id: int) -> list[tuple[str, int]]:
    """(device ID, wipe status) of a user's devices."""
    return connection.execute(
        "SELECT device_id, wipe_status FROM devices WHERE user_id = ? ORDER BY device_id", (user_id,)
    ).fetchall()


def find_status(connection: Connection, user_id: int, device_id: str) -> int | None:
    """The wipe status of a device, None when there is no such device."""
    row = connection.execute(
        "SELECT wipe_status FROM devices WHERE user_id = ? AND device_id = ?", (user_id, device_id)
    ).fetchone()
    return int(row[0]) if row else None


def set_status(connection: Connection, user_id: int, device_id: str, status: int) -> None:
    """Sets the wipe status of a device. An unknown device becomes known."""
    connection.execute(
        """INSERT INTO devices (user_id, device_id, wipe_status) VALUES (?, ?, ?)
               ON CONFLICT (user_id, device_id) DO UPDATE SET wipe_status = excluded.wipe_status""",
        (user_id, device_id, status),
    )


def insert_history(
    connection: Connection, user_id: int, device_id: str, status: int, time: int, remote_ip: str
) -> None:
    """Adds a change of a wipe status, which outlives the device. Beyond the limits it deletes the oldest ones."""
    connection.execute(
        "INSERT INTO wipe_history (user_id, device_id, time, remote_ip, status) VALUES (?, ?, ?, ?, ?)",
        (user_id, device_id, time, remote_ip, status),
    )
    _keep_latest(connection, "wipe_history", HISTORY_OF_DEVICE, user_id=user_id, device_id=device_id)
    _keep_latest(connection, "wipe_history", HISTORY_OF_USER, user_id=user_id)


def _keep_latest(connection: Connection, table: str, most: int, **key: object) -> None:
    """Deletes all rows of a key except the latest `most`. Needs an index on the key's columns, followed by the ID."""
    condition = " AND ".join(f"{column} = ?" for column in key)
    connection.execute(
        f"""
        DELETE FROM {table}
         WHERE {condition}
           AND id <= (SELECT id FROM {table} WHERE {condition} ORDER BY id DESC LIMIT 1 OFFSET ?)
        """,
        (*key.values(), *key.values(), most),
    )


def upsert_device(connection: Connection, user_id: int, device_id: str, state: Mapping[str, object]) -> None:
    """Stores the given fields of a device's state, named as in the API."""
    given = {COLUMNS[name]: json.dumps(value) if name == "asversion" else value for name, value in state.items()}
    columns = ["user_id", "device_id", *given]
    changes = ", ".join(f"{column} = excluded.{column}" for column in given)
    connection.execute(
        f"""INSERT INTO devices ({", ".join(columns)}) VALUES ({", ".join("?" * len(columns))})
                ON CONFLICT (user_id, device_id) DO UPDATE SET {changes}""",
        (user_id, device_id, *given.values()),
    )


def begin_sync(connection: Connection, user_id: int, device_id: str, time: int) -> None:
    """Sets the time of the first sync of a device, unless there is one."""
    connection.execute(
        """UPDATE devices
              SET first_sync_time = ?
            WHERE user_id = ? AND device_id = ? AND first_sync_time IS NULL""",
        (time, user_id, device_id),
    )


def clear_device(connection: Connection, user_id: int, device_id: str) -> None:
    """Deletes a device's sync progress. Its description and its wipe status stay."""
    connection.execute(
        """UPDATE devices
              SET first_sync_time = NULL, last_update_time = NULL, last_connect_time = NULL,
                  folders_syncable = 0, folders_synced = 0
            WHERE user_id = ? AND device_id = ?""",
        (user_id, device_id),
    )


def make_room(connection: Connection, user_id: int, lasting: int) -> bool:
    """Deletes the least recently seen devices of a user until there is room for one more. Returns whether there is.

    A device with a wipe status above `lasting` stays: inventing devices must not save one from being wiped.
    """
    sql = "SELECT count(*) FROM devices WHERE user_id = ?"
    (there,) = connection.execute(sql, (user_id,)).fetchone()
    surplus = there - MOST_DEVICES + 1
    if surplus <= 0:
        return True
    forgotten = connection.execute(
        """
        DELETE FROM devices
         WHERE user_id = ?
           AND device_id IN (SELECT device_id FROM devices
                              WHERE user_id = ? AND wipe_status <= ?
                              ORDER BY coalesce(last_connect_time, 0), device_id LIMIT ?)
        """,
        (user_id, user_id, lasting, surplus),
    )
    return bool(forgotten.rowcount == surplus)


def delete_device(connection: Connection, user_id: int, device_id: str) -> None:
    """Removes a device. Its history and a requested resync stay."""
    connection.execute("DELETE FROM devices WHERE user_id = ? AND device_id = ?", (user_id, device_id))


def insert_resync(connection: Connection, user_id: int, device_id: str) -> None:
    """Requests a resync of a device; idempotent. Beyond the limit it deletes the oldest request."""
    delete_resync(connection, user_id, device_id)
    connection.execute("INSERT INTO due_resyncs (user_id, device_id) VALUES (?, ?)", (user_id, device_id))
    _keep_latest(connection, "due_resyncs", MOST_RESYNCS, user_id=user_id)


def insert_resyncs(connection: Connection, user_id: int, device_ids: Iterable[str]) -> None:
    """Requests resyncs of several devices, in order."""
    for device_id in device_ids:
        insert_resync(connection, user_id, device_id)


def delete_resync(connection: Connection, user_id: int, device_id: str) -> bool:
    """Deletes a resync request; returns whether there was one."""
    sql = "DELETE FROM due_resyncs WHERE user_id = ? AND device_id = ?"
    return connection.execute(sql, (user_id, device_id)).rowcount > 0
