"""What a login goes by: a setting in the database, the same for every process on it."""

import sqlite3
from typing import Final

from postroom.schemas.authmgr import EXTERNID
from postroom.storage import auth
from postroom.storage.database import Database

_SETTING: Final = "auth_backend"


async def auth_backend(database: Database) -> str:
    """The backend that logins go by now."""
    return await auth.select_setting(database, _SETTING) or EXTERNID


def set_auth_backend(connection: sqlite3.Connection, backend: str) -> None:
    """Lets logins go by this backend from the next one on."""
    auth.set_setting(connection, _SETTING, backend)


def reset_auth_backend(connection: sqlite3.Connection) -> None:
    """Back to the default."""
    auth.delete_setting(connection, _SETTING)
