"""Checks of encrypted secrets. What is decrypted for that is not kept."""

from collections.abc import Iterator
from typing import Final

from postroom.storage import sealed
from postroom.storage.checks.findings import Check, State
from postroom.storage.engine import Connection
from postroom.storage.keyring import KeyFileError, UnreadableSecretError

GROUP: Final = "Secrets"
_RESET: Final = "postroom key reset deletes the secrets that it encrypts"


def _find_wrong_key_files(connection: Connection) -> Iterator[str]:
    try:
        sealed.check(connection, "the database")
    except KeyFileError as error:
        yield str(error)


def _find_unreadable(connection: Connection) -> Iterator[str]:
    for table, column, row, value in sealed.list_stored(connection):
        if value == sealed.FORGOTTEN:
            continue
        place = sealed.place_of(table, column, row)
        try:
            sealed.unseal(connection, place, value)
        except UnreadableSecretError as error:
            yield str(error)


def _find_forgotten(connection: Connection) -> Iterator[str]:
    for table, column, row, value in sealed.list_stored(connection):
        if value == sealed.FORGOTTEN:
            yield sealed.place_of(table, column, row)


def _find_remnants(connection: Connection) -> Iterator[str]:
    if connection.execute("SELECT 1 FROM sealing WHERE remnants <> 0").fetchone():
        yield "since secrets are encrypted, the file has not been rewritten"


CHECKS: Final = (
    Check(
        GROUP,
        "key file",
        promise="The key file has the key in use",
        fault="reasons why secrets cannot be read",
        find=_find_wrong_key_files,
        advice=f"Restore the key file from your backup. If there is none, {_RESET}",
    ),
    Check(
        GROUP,
        "secrets",
        promise="Every stored secret can be decrypted",
        fault="secrets that cannot be decrypted",
        find=_find_unreadable,
        advice=f"Restore the key file of the time of this database. If there is none, {_RESET}",
    ),
    Check(
        GROUP,
        "deleted secrets",
        promise="No secret is missing",
        fault="secrets that were deleted because their key was lost",
        find=_find_forgotten,
        advice="Give these directories and fetchmail entries their passwords again",
        state=State.WARNING,
    ),
    Check(
        GROUP,
        "remnants",
        promise="No unused part of the file holds secrets in plain text",
        fault="files that may hold secrets in plain text",
        find=_find_remnants,
        advice="Restart the service while nothing else reads the database",
        state=State.WARNING,
    ),
)
