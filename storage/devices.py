"""ActiveSync devices: their states, what is due to them, and the history of wipes."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.user_documents import boolean

#: Devices that are known of a user at most: anybody with the user's password can make up new ones.
MOST_DEVICES = 1000
#: Devices of a user that have to start over, at most; those of which it was asked last.
MOST_RESYNCS = 1000
#: Changes of a wipe status that are kept, of each device and of all devices of a user: the latest.
HISTORY_OF_DEVICE, HISTORY_OF_USER = 100, 1000

#: What is reported of a device: name in the API -> column.
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

_DEVICE = """json_object(
    'deviceid', device_id, 'devicetype', device_type, 'useragent', user_agent, 'deviceuser', device_user,
    'firstsynctime', first_sync_time, 'lastupdatetime', last_update_time, 'lastconnecttime', last_connect_time,
    'asversion', json(as_version), 'foldersSyncable', folders_syncable, 'foldersSynced', folders_synced,
    'wipeStatus', wipe_status)"""
_SELECT_DEVICES = f"""
    SELECT CAST('{{"data":[' || coalesce((
           SELECT group_concat(document)
             FROM (SELECT {_DEVICE} AS document
                     FROM devices WHERE user_id = u.id ORDER BY device_id)), '') || ']}}' AS BLOB)
      FROM users u
     WHERE u.id = ? AND u.domain_id = ?
"""

# What a list of live connections has beside, and nobody reports here, is empty: no process, no address, no command, and
# no end of the contact.
_SELECT_SEEN_LAST = """
    SELECT coalesce(group_concat(document), '')
      FROM (SELECT json_object(
                       'pid', 0, 'ip', '', 'user', u.username, 'start', d.last_connect_time,
                       'devtype', d.device_type, 'devid', d.device_id, 'devagent', d.user_agent, 'command', -1,
                       'ended', 0, 'push', json('false'), 'addinfo', '', 'update', d.last_connect_time,
                       'asversion', json(d.as_version)) AS document
              FROM devices d
              JOIN users u ON u.id = d.user_id
             WHERE d.last_connect_time >= ?
             ORDER BY d.last_connect_time DESC
             LIMIT ?)
"""

# A name is somebody's as username or as alias; the row of an altname may be another user's.
_OWNER = "a.key = ? AND a.kind <> 'altname'"
_SELECT_POLICIES = f"""
    SELECT json_array(json(d.sync_policy), json(u.sync_policy))
      FROM addresses a
      JOIN users u ON u.id = a.user_id
      LEFT JOIN domains d ON d.id = u.domain_id
     WHERE {_OWNER}
"""
_SELECT_INFO = f"""
    SELECT CAST(json_object('ldap', {boolean("u.ldap_id IS NOT NULL")}) AS BLOB)
      FROM addresses a
      JOIN users u ON u.id = a.user_id
     WHERE {_OWNER}
"""


def _by_device(document: str, source: str) -> str:
    """SQL for `{"data": {device ID: document}}` of the owner of a name."""
    return f"""
        SELECT CAST(json_object('data', json((
               SELECT json_group_object(id, {document})
                 FROM {source}))) AS BLOB)
          FROM addresses a
         WHERE {_OWNER}
    """


_ALL = "(SELECT device_id AS id, * FROM devices WHERE user_id = a.user_id ORDER BY device_id) d"
# Each that is asked for, in that order, whether it is there or not.
_SOME = "(SELECT value AS id FROM json_each(?)) LEFT JOIN devices d ON d.user_id = a.user_id AND d.device_id = id"
_STATUS = "json_object('status', coalesce(d.wipe_status, 0))"
_CONTACT = "json_object('status', coalesce(d.last_connect_time, 0), 'lastconnecttime', d.last_connect_time)"


async def select_devices(database: Database, domain_id: int, user_id: int) -> bytes | None:
    """The answer `{"data": [...]}` as JSON, by device ID; None when the domain has no such user."""
    found: bytes | None = await database.fetch_by_key(_SELECT_DEVICES, (user_id, domain_id))
    return found


async def select_policies(database: Database, username: str) -> str | None:
    """`[the domain's sync policy, the user's]` as JSON, each may be null; None when nobody has that name."""
    found: str | None = await database.fetch_by_key(_SELECT_POLICIES, (fold(username),))
    return found


async def select_info(database: Database, username: str) -> bytes | None:
    """The answer `{"ldap": bool}` as JSON, None when nobody has that name."""
    found: bytes | None = await database.fetch_by_key(_SELECT_INFO, (fold(username),))
    return found


async def select_wipe_statuses(database: Database, username: str, device_ids: Sequence[str]) -> bytes | None:
    """The answer with a status for each device asked for (none: all there are), None when nobody has that name."""
    return await _select_by_device(database, _STATUS, username, device_ids)


async def select_contacts(database: Database, username: str, device_ids: Sequence[str]) -> bytes | None:
    """The same with the UNIX time of the last contact."""
    return await _select_by_device(database, _CONTACT, username, device_ids)


async def _select_by_device(
    database: Database, document: str, username: str, device_ids: Sequence[str]
) -> bytes | None:
    params: list[object] = [json.dumps(list(dict.fromkeys(device_ids)))] if device_ids else []
    sql = _by_device(document, _SOME if device_ids else _ALL)
    found: bytes | None = await database.fetch_by_key(sql, [*params, fold(username)])
    return found


async def select_seen_last(database: Database, since: int, limit: int, *, caller: int) -> bytes:
    """JSON array of the devices of all users that were seen since a UNIX time, the last one first."""
    found: str = await database.search(caller, _SELECT_SEEN_LAST, (since, limit))
    return f"[{found}]".encode()


_SELECT_OWNER = f"SELECT a.user_id FROM addresses a WHERE {_OWNER}"


async def select_owner(database: Database, username: str) -> int | None:
    """The ID of the user with that username or alias in any case, or None."""
    found: int | None = await database.fetch_by_key(_SELECT_OWNER, (fold(username),))
    return found


def find_owner(connection: sqlite3.Connection, username: str) -> int | None:
    """The same as it stands inside a transaction."""
    row = connection.execute(_SELECT_OWNER, (fold(username),)).fetchone()
    return int(row[0]) if row else None


def list_statuses(connection: sqlite3.Connection, user_id: int) -> list[tuple[str, int]]:
    """(device ID, wipe status) of a user's devices."""
    return connection.execute(
        "SELECT device_id, wipe_status FROM devices WHERE user_id = ? ORDER BY device_id", (user_id,)
    ).fetchall()


def find_status(connection: sqlite3.Connection, user_id: int, device_id: str) -> int | None:
    """The wipe status of a device, None when there is no such device."""
    row = connection.execute(
        "SELECT wipe_status FROM devices WHERE user_id = ? AND device_id = ?", (user_id, device_id)
    ).fetchone()
    return int(row[0]) if row else None


def set_status(connection: sqlite3.Connection, user_id: int, device_id: str, status: int) -> None:
    """Sets the wipe status of a device, which is remembered from then on."""
    connection.execute(
        """INSERT INTO devices (user_id, device_id, wipe_status) VALUES (?, ?, ?)
               ON CONFLICT DO UPDATE SET wipe_status = excluded.wipe_status""",
        (user_id, device_id, status),
    )


def insert_history(
    connection: sqlite3.Connection, user_id: int, device_id: str, status: int, time: int, remote_ip: str
) -> None:
    """One change of a wipe status; stays when the device goes. The oldest ones beyond the bounds make room."""
    connection.execute(
        "INSERT INTO wipe_history (user_id, device_id, time, remote_ip, status) VALUES (?, ?, ?, ?, ?)",
        (user_id, device_id, time, remote_ip, status),
    )
    _keep_latest(connection, "wipe_history", HISTORY_OF_DEVICE, user_id=user_id, device_id=device_id)
    _keep_latest(connection, "wipe_history", HISTORY_OF_USER, user_id=user_id)


def _keep_latest(connection: sqlite3.Connection, table: str, most: int, **key: object) -> None:
    """Deletes all rows of a key but the latest so many, by an index of just that key, which ends with the row's ID."""
    condition = " AND ".join(f"{column} = ?" for column in key)
    connection.execute(
        f"""
        DELETE FROM {table}
         WHERE {condition}
           AND id <= (SELECT id FROM {table} WHERE {condition} ORDER BY id DESC LIMIT 1 OFFSET ?)
        """,
        (*key.values(), *key.values(), most),
    )


def upsert_device(connection: sqlite3.Connection, user_id: int, device_id: str, state: Mapping[str, object]) -> None:
    """Stores what is given of a device's state, by its names in the API."""
    given = {COLUMNS[name]: json.dumps(value) if name == "asversion" else value for name, value in state.items()}
    columns = ["user_id", "device_id", *given]
    changes = ", ".join(f"{column} = excluded.{column}" for column in given)
    connection.execute(
        f"""INSERT INTO devices ({", ".join(columns)}) VALUES ({", ".join("?" * len(columns))})
                ON CONFLICT DO UPDATE SET {changes}""",
        (user_id, device_id, *given.values()),
    )


def clear_device(connection: sqlite3.Connection, user_id: int, device_id: str) -> None:
    """Forgets how far a device has come; what it is, and its wipe status, stay."""
    connection.execute(
        """UPDATE devices
              SET first_sync_time = NULL, last_update_time = NULL, last_connect_time = NULL,
                  folders_syncable = 0, folders_synced = 0
            WHERE user_id = ? AND device_id = ?""",
        (user_id, device_id),
    )


def make_room(connection: sqlite3.Connection, user_id: int, lasting: int) -> bool:
    """Forgets devices of a user until one more may come: those not seen for longest. Returns whether one may.

    One with a wipe status above `lasting` stays: whoever makes up devices must not save one from being wiped so.
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


def delete_device(connection: sqlite3.Connection, user_id: int, device_id: str) -> None:
    """Removes a device; its history and a resync that is due stay."""
    connection.execute("DELETE FROM devices WHERE user_id = ? AND device_id = ?", (user_id, device_id))


def insert_resync(connection: sqlite3.Connection, user_id: int, device_id: str) -> None:
    """The device has to start over; twice is once. Beyond the bound, the mark that was set first makes room."""
    connection.execute("INSERT OR REPLACE INTO due_resyncs (user_id, device_id) VALUES (?, ?)", (user_id, device_id))
    _keep_latest(connection, "due_resyncs", MOST_RESYNCS, user_id=user_id)


def delete_resync(connection: sqlite3.Connection, user_id: int, device_id: str) -> bool:
    """Takes the mark away; returns whether there was one."""
    sql = "DELETE FROM due_resyncs WHERE user_id = ? AND device_id = ?"
    return connection.execute(sql, (user_id, device_id)).rowcount > 0
