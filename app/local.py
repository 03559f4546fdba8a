"""The application inside of a command: on the local database, and for this command alone."""

import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from aiohttp import web

from postroom.app.auth.operator import OperatorTokens
from postroom.app.config import Config
from postroom.app.main import make_app
from postroom.app.web.keys import CURRENT, Current
from postroom.app.wiring import opened
from postroom.storage.writing import AUTHOR

#: Bytes; with the name of a new folder and that of a socket in it, a path may have 107.
_LONGEST_FOLDER: Final = 80
#: Folders in it have names that nobody can guess.
_SHORT: Final = "/tmp"  # noqa: S108  # nosec B108


def folder_for_socket() -> tempfile.TemporaryDirectory[str]:
    """A folder that only its owner may enter, whose path is short enough for that of a socket in it."""
    is_long = len(os.fsencode(tempfile.gettempdir())) > _LONGEST_FOLDER
    return tempfile.TemporaryDirectory(prefix="postroom-", dir=_SHORT if is_long else None)


@asynccontextmanager
async def local_app(config: Config) -> AsyncIterator[tuple[web.Application, str]]:
    """(the application, a token with which it lets the command do everything). What it writes is on record as written
    by the present author.

    A service may be running on the database: nothing is created, migrated or cleaned up. Raises DatabaseError,
    NoDatabaseError, WrongDatabaseError.
    """
    own = secrets.token_urlsafe(32)
    async with opened(config, create=False, make_tokens=partial(OperatorTokens, own, AUTHOR.get()())) as context:
        app = make_app(config)
        app[CURRENT] = Current(context)
        yield app, own
