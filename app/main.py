"""create_app: the application around what app/wiring.py puts together."""

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator

from aiohttp import web

from postroom.app.config import Config
from postroom.app.context import CONTEXT
from postroom.app.endpoints import (
    Handler,
    Need,
    allowed_methods,
    endpoint,
    not_allowed,
    not_found,
    options,
)
from postroom.app.handlers import docs
from postroom.app.in_flight import UNBOUNDED, UNDER_WAY, Lane, UnderWay
from postroom.app.inputs import MAX_BODY
from postroom.app.passwords import Passwords
from postroom.app.routes import BASE, ROUTES, Route, public
from postroom.app.wiring import opened
from postroom.storage import auth
from postroom.storage.database import Database, is_unavailable

log = logging.getLogger("postroom")

#: Seconds until a change of permissions by another process takes effect.
WATCH_INTERVAL = 1.0

#: The password made up at the first start, for whoever started the service; None when there is nothing to tell.
NEW_PASSWORD = web.AppKey[str | None]("new_password", str | None)  # type: ignore[arg-type]

#: Paths whose requests are never too many: the state, which is to be seen always, and the login. That reads its body by
#: itself, so slow ones would keep others out; what it costs has a queue of its own.
_ALWAYS_TAKEN = ("/status", "/login")

#: The page stands beside the API, and is not described by it.
DOCS = [
    Route("GET", "/docs", docs.get_page, public),
    Route("GET", "/docs/start.js", docs.get_start, public),
    Route("GET", "/docs/static/{name}", docs.get_file, public),
]


def create_app(config: Config) -> web.Application:
    """An application ready to be served. The database is opened when it starts and closed when it stops."""
    app = web.Application(client_max_size=MAX_BODY)
    under_way = app[UNDER_WAY] = UnderWay()

    def ready(handler: Handler, need: Need, lane: Lane = UNBOUNDED) -> Handler:
        return endpoint(handler, need, under_way, lane, access_log=config.access_log)

    paths: dict[str, list[Route]] = {}
    for route in ROUTES:
        paths.setdefault(BASE + route.path, []).append(route)
    for route in DOCS:
        paths.setdefault(route.path, []).append(route)
    for path, routes in paths.items():
        # By itself aiohttp takes no braces in a part of a path, which an address may hold.
        resource = app.router.add_resource(path.replace("}", ":[^/]+}"))
        allowed = allowed_methods(route.method for route in routes)
        for route in routes:
            lane = under_way.lane(route.method, anonymous=route.need is public)
            serve = ready(route.handler, route.need, UNBOUNDED if route.path in _ALWAYS_TAKEN else lane)
            resource.add_route(route.method, serve)
            if route.method == "GET":
                # aiohttp leaves the body out by itself.
                resource.add_route("HEAD", serve)
        resource.add_route("OPTIONS", ready(options(allowed), public))
        resource.add_route("*", ready(not_allowed(allowed), public))
    # A dot would not stand for a line break.
    app.router.add_route("*", r"/{path:[\s\S]*}", ready(not_found, public))

    async def run(app: web.Application) -> AsyncIterator[None]:
        async for _ in _run(app, config):
            yield

    app.cleanup_ctx.append(run)
    return app


async def _run(app: web.Application, config: Config) -> AsyncIterator[None]:
    async with opened(config) as context:
        await context.tasks.recover()
        app[CONTEXT] = context
        app[NEW_PASSWORD] = await _ensure_administrator(context.database, context.passwords, config.admin_password)
        watch = asyncio.create_task(_watch(context.database))
        try:
            yield
        finally:
            watch.cancel()


async def _watch(database: Database) -> None:
    # What this process changes it knows at once; of another one on the same file it learns here.
    while True:
        await asyncio.sleep(WATCH_INTERVAL)
        try:
            await database.refresh_auth_generation()
        except sqlite3.Error as error:
            fault = None if is_unavailable(error) else error
            log.warning("Changes by other processes cannot be read: %s", error, exc_info=fault)


async def _ensure_administrator(database: Database, passwords: Passwords, given: str | None) -> str | None:
    """Sees to it that `admin` is there, with the configured password if there is one; returns one made up here."""
    if await auth.select_account(database, 0) is None:
        password = given or secrets.token_urlsafe(12)
        if await database.write(auth.ensure_administrator, await passwords.hash(password)):
            return None if given else password
    # It was there before, or another process has just made it, which then tells the password.
    account = await auth.select_account(database, 0)
    if given and account is not None and not await passwords.verify(account.password, given):
        # Whoever sets the variable owns the machine; this is also the way back in when the password is lost.
        await database.write(auth.set_password, 0, await passwords.hash(given))
    return None
