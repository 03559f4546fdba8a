"""Reads the states and policies of ActiveSync devices."""

import json
from collections.abc import Sequence

from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.spelling import TEXTS
from postroom.storage.user_documents import truth

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

_SELECT_HISTORY = """
    SELECT CAST('{"data":[' || coalesce((
           SELECT group_concat(document)
             FROM (SELECT json_object('time', time, 'status', status, 'remoteIP', remote_ip) AS document
                     FROM wipe_history WHERE user_id = u.id AND device_id = ? ORDER BY id DESC)), '') || ']}' AS BLOB)
      FROM users u
     WHERE u.id = ? AND u.domain_id = ?
"""

# The API shows live connections here. The fields that nobody reports to us are empty: process, address, command and the
# end of the contact.
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

# Find the owner by username or alias only: another user may have the same altname.
_OWNER = "a.key = ? AND a.kind <> 'altname'"
_SELECT_POLICIES = f"""
    SELECT json_array(json(d.sync_policy), json(u.sync_policy))
      FROM addresses a
      JOIN users u ON u.id = a.user_id
      LEFT JOIN domains d ON d.id = u.domain_id
     WHERE {_OWNER}
"""
_SELECT_INFO = f"""
    SELECT CAST(json_object('ldap', {truth("u.ldap_id IS NOT NULL")}) AS BLOB)
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
# All requested devices, in that order, whether they exist or not.
_SOME = f"(SELECT value AS id FROM {TEXTS} wanted) x LEFT JOIN devices d ON d.user_id = a.user_id AND d.device_id = id"
_STATUS = "json_object('status', coalesce(d.wipe_status, 0))"
_CONTACT = "json_object('status', coalesce(d.last_connect_time, 0), 'lastconnecttime', d.last_connect_time)"


async def select_devices(database: Database, domain_id: int, user_id: int) -> bytes | None:
    """The response `{"data": [...]}` as JSON, by device ID; None when the domain has no such user."""
    found: bytes | None = await database.fetch_by_key(_SELECT_DEVICES, (user_id, domain_id))
    return found


async def select_wipe_history(database: Database, domain_id: int, user_id: int, *, device_id: str) -> bytes | None:
    """The response `{"data": [...]}` as JSON, the latest change first; None when the domain has no such user."""
    found: bytes | None = await database.fetch_by_key(_SELECT_HISTORY, (device_id, user_id, domain_id))
    return found


def read_devices(connection: Connection, domain_id: int, user_id: int) -> bytes:
    """Like select_devices, inside a transaction, for an existing user."""
    found: bytes = connection.execute(_SELECT_DEVICES, (user_id, domain_id)).fetchone()[0]
    return found


async def select_policies(database: Database, username: str) -> str | None:
    """`[the domain's sync policy, the user's]` as JSON, each may be null; None when nobody has that name."""
    found: str | None = await database.fetch_by_key(_SELECT_POLICIES, (fold(username),))
    return found


async def select_info(database: Database, username: str) -> bytes | None:
    """The response `{"ldap": bool}` as JSON, None when nobody has that name."""
    found: bytes | None = await database.fetch_by_key(_SELECT_INFO, (fold(username),))
    return found


async def select_wipe_statuses(database: Database, username: str, device_ids: Sequence[str]) -> bytes | None:
    """The response with the wipe status of each requested device (none: all); None when nobody has that name."""
    return await _select_by_device(database, _STATUS, username, device_ids)


async def select_contacts(database: Database, username: str, device_ids: Sequence[str]) -> bytes | None:
    """The same response with the UNIX time of the last contact."""
    return await _select_by_device(database, _CONTACT, username, device_ids)


async def _select_by_device(
    database: Database, document: str, username: str, device_ids: Sequence[str]
) -> bytes | None:
    params: list[object] = [json.dumps(list(dict.fromkeys(device_ids)))] if device_ids else []
    sql = _by_device(document, _SOME if device_ids else _ALL)
    found: bytes | None = await database.fetch_by_key(sql, [*params, fold(username)])
    return found


async def select_seen_last(database: Database, since: int, limit: int, *, caller: int) -> bytes:
    """JSON array of the devices of all users that were seen since a UNIX time, the latest first."""
    found: str = await database.search(caller, _SELECT_SEEN_LAST, (since, limit))
    return f"[{found}]".encode()


_SELECT_OWNER = f"SELECT a.user_id FROM addresses a WHERE {_OWNER}"


async def select_owner(database: Database, username: str) -> int | None:
    """The ID of the user with that username or alias in any case, or None."""
    found: int | None = await database.fetch_by_key(_SELECT_OWNER, (fold(username),))
    return found


def find_owner(connection: Connection, username: str) -> int | None:
    """Like select_owner, inside a transaction."""
    row = connection.execute(_SELECT_OWNER, (fold(username),)).fetchone()
    return int(row[0]) if row else None
