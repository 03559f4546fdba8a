"""The rules of ActiveSync devices; each function is one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from postroom.app.errors import ForbiddenError, InvalidError, NotFoundError
from postroom.app.transactions.lookups import find_user_or_raise, username_not_found
from postroom.app.transactions.wipe import (
    ACKNOWLEDGED,
    DONE,
    FINE,
    TOLD,
    UNDER_WAY,
    UNKNOWN,
    Event,
    Kind,
    advance,
    needs_password,
)
from postroom.storage import device_states as devices
from postroom.storage.devices import find_owner
from postroom.storage.engine import Connection


@dataclass(frozen=True, slots=True)
class Origin:
    """When and from where a status changed, for the history: UNIX time and source address."""

    time: int
    remote_ip: str


@dataclass(frozen=True, slots=True)
class WipeReport:
    """A report of the ActiveSync server about devices of a user; without IDs it is about all of them."""

    username: str
    device_ids: tuple[str, ...]
    status: int


def remove_all(connection: Connection, domain_id: int, user_id: int, origin: Origin) -> None:
    """Removes the states of a user's devices. A device with a pending wipe stays, so that it still gets wiped."""
    find_user_or_raise(connection, domain_id, user_id)
    for device_id, status in devices.list_statuses(connection, user_id):
        if status in UNDER_WAY:
            devices.clear_device(connection, user_id, device_id)
            devices.insert_resync(connection, user_id, device_id)
        else:
            _remove(connection, user_id, device_id, origin)


def remove_device(connection: Connection, domain_id: int, user_id: int, device_id: str, origin: Origin) -> None:
    """Removes a device, even with a pending wipe. Raises NotFoundError."""
    _find_device_or_raise(connection, domain_id, user_id, device_id)
    _remove(connection, user_id, device_id, origin)


def remove_own_device(connection: Connection, domain_id: int, user_id: int, device_id: str, origin: Origin) -> None:
    """The same for its owner, who must not undo a wipe that way: an administrator may have requested it because the
    owner has left, or the device is in the hands of somebody who knows the password.

    Raises NotFoundError, ForbiddenError.
    """
    if _find_device_or_raise(connection, domain_id, user_id, device_id) > FINE:
        raise ForbiddenError(f"The device {device_id} is wiped or to be wiped; only an administrator removes it")
    _remove(connection, user_id, device_id, origin)


def request_resync(connection: Connection, domain_id: int, user_id: int, device_id: str) -> None:
    """Makes the device resync from scratch at its next contact. Raises NotFoundError."""
    _find_device_or_raise(connection, domain_id, user_id, device_id)
    devices.insert_resync(connection, user_id, device_id)


def change_wipe(
    connection: Connection, domain_id: int, user_id: int, device_id: str, event: Event, origin: Origin
) -> None:
    """Requests or cancels a wipe for an administrator. Raises NotFoundError (user); the device may be unknown."""
    find_user_or_raise(connection, domain_id, user_id)
    _move(connection, user_id, device_id, event, origin)


def wipe_own_device(
    connection: Connection, domain_id: int, user_id: int, device_id: str, event: Event, origin: Origin
) -> None:
    """Requests a wipe for the owner of the device, who could not remove one that is unknown. Raises NotFoundError."""
    _find_device_or_raise(connection, domain_id, user_id, device_id)
    _move(connection, user_id, device_id, event, origin)


def report_wipe(connection: Connection, report: WipeReport, origin: Origin, agreed: int | None) -> int | None:
    """Stores a report and returns None. If a password is needed first, stores nothing and returns the owner's ID.

    `agreed`: the owner for whom a password was given. Raises NotFoundError.
    """
    user_id = _find_owner_or_raise(connection, report.username)
    statuses = dict(devices.list_statuses(connection, user_id))
    device_ids = report.device_ids or tuple(statuses)
    starts = any(needs_password(statuses.get(each, UNKNOWN), report.status) for each in device_ids)
    if starts and agreed != user_id:
        return user_id
    for device_id in device_ids:
        _move(connection, user_id, device_id, Event(Kind.REPORT, report.status), origin)
    return None


def report_device(
    connection: Connection, username: str, device_id: str, state: Mapping[str, Any], contact: int
) -> tuple[bool, int]:
    """Stores the state of a device after a contact; returns (whether it has to resync, its wipe status).

    This transaction also deletes the resync request, so only one of two concurrent reports gets it.
    Raises NotFoundError, InvalidError (too many devices).
    """
    user_id = _find_owner_or_raise(connection, username)
    store_report(connection, user_id, device_id, state, contact)
    due = devices.delete_resync(connection, user_id, device_id)
    return due, devices.find_status(connection, user_id, device_id) or UNKNOWN


def store_report(connection: Connection, user_id: int, device_id: str, state: Mapping[str, Any], contact: int) -> None:
    """Stores the state of a device of an existing user. Raises InvalidError (too many devices)."""
    _see_to_room(connection, user_id, device_id)
    devices.upsert_device(connection, user_id, device_id, {"lastconnecttime": contact, **state})


def sync_device(
    connection: Connection, username: str, device_id: str, state: Mapping[str, Any], origin: Origin
) -> tuple[bool, int]:
    """Stores what a whole contact of a device leaves behind: what its server reports in several calls.

    A device that is to be wiped is told so instead of synchronising, and is not told again once it is wiped. Any other
    device has synchronised, from the beginning if that was requested, and accepts its policy, so its status is fine.
    Returns and raises like report_device.
    """
    user_id = _find_owner_or_raise(connection, username)
    status = devices.find_status(connection, user_id, device_id) or UNKNOWN
    if status > FINE:
        status = TOLD.get(status, status)
        _move(connection, user_id, device_id, Event(Kind.REPORT, status), origin)
        devices.upsert_device(connection, user_id, device_id, {"lastconnecttime": origin.time})
        return False, status
    due = devices.delete_resync(connection, user_id, device_id)
    if due:
        devices.clear_device(connection, user_id, device_id)
    reported = {"deviceuser": username, "lastupdatetime": origin.time, **state}
    store_report(connection, user_id, device_id, reported, origin.time)
    devices.begin_sync(connection, user_id, device_id, origin.time)
    _move(connection, user_id, device_id, Event(Kind.REPORT, FINE), origin)
    return due, FINE


def acknowledge_wipe(connection: Connection, username: str, device_id: str, origin: Origin) -> int:
    """Stores that a device has wiped itself; returns its status. A device that was not told yet is told before.

    Raises NotFoundError, and InvalidError when there is no wipe; one that is done already is no error.
    """
    user_id = _find_owner_or_raise(connection, username)
    status = devices.find_status(connection, user_id, device_id)
    if status is None:
        raise NotFoundError(f"The user {username} has no device {device_id}")
    if status not in UNDER_WAY and status not in DONE:
        raise InvalidError(f"The device {device_id} of {username} is not to be wiped: its wipe status is {status}")
    for step in (TOLD, ACKNOWLEDGED):
        status = step.get(status, status)
        _move(connection, user_id, device_id, Event(Kind.REPORT, status), origin)
    devices.upsert_device(connection, user_id, device_id, {"lastconnecttime": origin.time})
    return status


def _find_owner_or_raise(connection: Connection, username: str) -> int:
    user_id = find_owner(connection, username)
    if user_id is None:
        raise username_not_found(username)
    return user_id


def _find_device_or_raise(connection: Connection, domain_id: int, user_id: int, device_id: str) -> int:
    """The wipe status of the device."""
    user = find_user_or_raise(connection, domain_id, user_id)
    status = devices.find_status(connection, user_id, device_id)
    if status is None:
        raise NotFoundError(f"The user {user.username} has no device {device_id}")
    return status


def _remove(connection: Connection, user_id: int, device_id: str, origin: Origin) -> None:
    _move(connection, user_id, device_id, Event(Kind.REMOVE), origin)
    devices.delete_device(connection, user_id, device_id)
    # The device still holds state that no longer matches. The resync request outlives the device's row.
    devices.insert_resync(connection, user_id, device_id)


def _move(connection: Connection, user_id: int, device_id: str, event: Event, origin: Origin) -> None:
    status = devices.find_status(connection, user_id, device_id) or UNKNOWN
    new, entry = advance(status, event)
    if entry is not None:
        _see_to_room(connection, user_id, device_id)
        devices.set_status(connection, user_id, device_id, new)
        devices.insert_history(connection, user_id, device_id, entry, origin.time, origin.remote_ip)


def _see_to_room(connection: Connection, user_id: int, device_id: str) -> None:
    """Makes room for a new device: at the limit it replaces the device that was not seen for longest.

    A replaced device needs no resync when it comes back, because none was requested. Raises InvalidError when every
    other device is wiped or to be wiped.
    """
    if devices.find_status(connection, user_id, device_id) is None and not devices.make_room(connection, user_id, FINE):
        raise InvalidError(
            f"The user has {devices.MOST_DEVICES} devices that are wiped or to be wiped; remove some of them first"
        )
