"""The rules of fetchmail entries: replaced as a whole, each known one updated by its ID."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from postroom.app.errors import InvalidError
from postroom.schemas.fetchmail_options import check_options
from postroom.schemas.values.text import fold
from postroom.storage import fetchmail
from postroom.storage.sqlite import sqlite3
from postroom.storage.users import UserRow

#: What a new entry has where the request says nothing. Mail is kept where it was: losing it must be asked for.
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
#: Who is told the password, and how well it is kept from others on its way.
_DESTINATION = (
    "srcServer", "srcUser", "srcAuth", "protocol", "useSSL", "sslCertCheck", "sslCertPath", "sslFingerprint",
)  # fmt: skip


def replace(
    connection: sqlite3.Connection,
    user: UserRow,
    own: Collection[str],
    gone: Collection[str],
    entries: Sequence[Mapping[str, Any]],
    now: str,
) -> None:
    """Makes these the user's entries. Raises InvalidError naming the entry by its place in the list.

    `own` are the user's addresses, and `gone`, folded, those that the same request takes away: an entry may still
    name one, and then the username is meant.
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
            entry = {"mailbox": user.username, **_DEFAULTS, **given}
            _check(own, place, entry, {})
            if "date" in given:
                raise _invalid(place, "date", "Is set when the entry is stored.")
            fetchmail.insert_fetchmail(connection, user.id, entry, now)
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


def _check_password(place: int, known: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """The stored password is told only whom it was entered for: a changed destination needs it in the same body."""
    changed = [name for name in _DESTINATION if given.get(name, known[name]) != known[name]]
    if changed and "srcPassword" not in given:
        raise _invalid(place, "srcPassword", f"Is needed again when {', '.join(changed)} changes.")


def _check(own: Collection[str], place: int, entry: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """The rules of what is new in an entry; what is stored of a known one can always be sent back."""
    for name in _REQUIRED:
        # A stored password that nobody can decrypt any more is one that is not there; switched off, none is needed.
        if name not in entry and (name != "srcPassword" or "ID" not in entry or entry["active"]):
            raise _invalid(place, name, "Missing data for required field.")
    # Another user's mailbox would be filled with mail that is not theirs.
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
