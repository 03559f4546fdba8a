"""The application inside of a command: on the local database, and for this command alone."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from postroom.app.auth.operator import OperatorTokens
from postroom.app.config import Config
from postroom.app.main import make_app
from postroom.app.web.keys import CURRENT, Current
from postroom.app.wiring import opened
from postroom.storage.writing import AUTHOR


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
