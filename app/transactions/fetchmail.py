"""The rules of fetchmail entries. A request replaces the whole list and updates known entries by their ID."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from postroom.app.errors import InvalidError
from postroom.schemas.fetchmail_options import check_options
from postroom.schemas.values.text import fold
from postroom.storage import fetchmail
from postroom.storage.engine import Connection
from postroom.storage.users import UserRow

#: Defaults of a new entry. Fetched mail stays on the source server unless the request says otherwise.
_DEFAULTS: dict[str, Any] = {
    "active": True,
    "srcAuth": "password",
    "srcFolder": "",
    "fetchall": False,
    "keep": True,
    "protocol": "IMAP",
    "useSSL": True,
    "sslCertCheck": False,
    "sslCertPath": None,
    "sslFingerprint": None,
    "extraOptions": None,
}
_REQUIRED = ("srcServer", "srcUser", "srcPassword")
#: The fields that decide who receives the password, and how well it is protected on its way.
_DESTINATION = (
    "srcServer", "srcUser", "srcAuth", "protocol", "useSSL", "sslCertCheck", "sslCertPath", "sslFingerprint",
)  # fmt: skip


def replace(
    connection: Connection,
    user: UserRow,
    own: Collection[str],
    gone: Collection[str],
    entries: Sequence[Mapping[str, Any]],
    now: str,
) -> None:
    """Replaces the user's entries. Raises InvalidError, which names the entry by its place in the list.

    `own` has the user's addresses. `gone` has the folded addresses that the same request removes: an entry that still
    names one of them gets the username instead.
    """
    own = {fold(address) for address in own}
    stored = fetchmail.list_fetchmail(connection, user.id)
    kept: set[int] = set()
    for place, sent in enumerate(entries):
        given = dict(sent)
        entry_id = given.get("ID")
        if fold(given.get("mailbox", "")) in gone:
            given["mailbox"] = user.username
        if entry_id is None:
            if "date" in given:
                raise _invalid(place, "date", "Is set when the entry is stored.")
            add_entry(connection, user, own, place, given, now)
            continue
        if entry_id not in stored or entry_id in kept:
            raise _invalid(place, "ID", f"This user has no entry {entry_id}, or it is given twice.")
        kept.add(entry_id)
        known = stored[entry_id]
        if given.get("date", known["date"]) != known["date"]:
            raise _invalid(place, "date", "Cannot be changed; leave it out or send it back as it was.")
        entry = {**known, **given}
        _check_password(place, known, given)
        _check(own, place, entry, known)
        if any(entry.get(name) != known.get(name) for name in fetchmail.COLUMNS):
            fetchmail.update_fetchmail(connection, entry_id, entry, now)
    fetchmail.delete_fetchmail(connection, [entry_id for entry_id in stored if entry_id not in kept])


def add_entry(
    connection: Connection, user: UserRow, own: Collection[str], place: int, given: Mapping[str, Any], date: str
) -> None:
    """Adds an entry, which stands at this place of a list; `own` has the user's addresses, folded.

    Raises InvalidError.
    """
    entry = {"mailbox": user.username, **_DEFAULTS, **given}
    _check(own, place, entry, {})
    fetchmail.insert_fetchmail(connection, user.id, entry, date)


def _check_password(place: int, known: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Requires the password again when the destination changes: nobody else may receive the stored one."""
    changed = [name for name in _DESTINATION if given.get(name, known[name]) != known[name]]
    if changed and "srcPassword" not in given:
        raise _invalid(place, "srcPassword", f"Is needed again when {', '.join(changed)} changes.")


def _check(own: Collection[str], place: int, entry: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Checks new values only; a client may always send back the stored ones."""
    for name in _REQUIRED:
        # A stored password that cannot be decrypted counts as missing. An inactive stored entry needs none.
        if name not in entry and (name != "srcPassword" or "ID" not in entry or entry["active"]):
            raise _invalid(place, name, "Missing data for required field.")
    # Otherwise a user could fill another user's mailbox with mail.
    if entry["mailbox"] != known.get("mailbox") and fold(entry["mailbox"]) not in own:
        raise _invalid(place, "mailbox", "Is no address of this user.")
    options = entry["extraOptions"]
    if options is not None and options != known.get("extraOptions"):
        try:
            check_options(options)
        except ValueError as error:
            raise _invalid(place, "extraOptions", f"{error}.") from None


def _invalid(place: int, name: str, reason: str) -> InvalidError:
    return InvalidError.field(f"fetchmail.{place}.{name}", reason)
