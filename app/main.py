"""create_app: the application around what app/wiring.py puts together."""

import asyncio
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from functools import cache, partial

from aiohttp import web

from postroom.app.auth.first_password import FirstPassword
from postroom.app.auth.tokens import ADMIN_ID
from postroom.app.config import Config
from postroom.app.handlers import docs
from postroom.app.limits.in_flight import IN_FLIGHT, UNBOUNDED, InFlight, Lane
from postroom.app.limits.sparing import Sparing
from postroom.app.openapi import document
from postroom.app.routes import BASE, ROUTES
from postroom.app.services.context import Context
from postroom.app.web.endpoints import (
    allowed_methods,
    endpoint,
    not_allowed,
    not_found,
    options,
)
from postroom.app.web.error_responses import SPARING
from postroom.app.web.inputs import MAX_BODY
from postroom.app.web.keys import CONTEXT
from postroom.app.web.routing import Guard, Handler, Route, public
from postroom.app.wiring import opened
from postroom.storage import auth
from postroom.storage.faults import DatabaseError, LostDatabaseError, is_unavailable
from postroom.storage.keyring import UnreadableSecretError
from postroom.storage.sqlite import VERSION, has_wal_reset_bug, sqlite3

log = logging.getLogger("postroom")

#: Seconds until a change of permissions by another process takes effect.
WATCH_INTERVAL = 1.0

#: How whoever started the service gets to know the password made up at the first start; None when there is none.
FIRST_LOGIN = web.AppKey[str | None]("first_login", str | None)  # type: ignore[arg-type]

#: Paths whose requests are never too many: the state, which is to be seen always, and the login. That reads its body by
#: itself, so slow ones would keep others out; what it costs has a queue of its own.
_ALWAYS_TAKEN = ("/status", "/login")

#: The page stands beside the API, and is not described by it.
DOCS = [
    Route("GET", "/docs", docs.get_page, public),
    Route("GET", "/docs/start.js", docs.get_start, public),
    Route("GET", "/docs/static/{name}", docs.get_file, public),
]


def create_app(config: Config, *, prepared: bool = False) -> web.Application:
    """An application ready to be served. The database is opened when it starts and closed when it stops.

    `prepared`: it was brought up to date already, by `prepare`.
    """
    app = web.Application(client_max_size=MAX_BODY)
    in_flight = app[IN_FLIGHT] = InFlight()
    app[SPARING] = Sparing()
    describe: Callable[[], bytes] = cache(partial(document.build, BASE, ROUTES))
    app[docs.DOCUMENT] = describe

    def ready(handler: Handler, guard: Guard, lane: Lane = UNBOUNDED) -> Handler:
        return endpoint(handler, guard, in_flight, lane, access_log=config.access_log)

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
            lane = in_flight.lane(route.method, anonymous=route.guard is public)
            serve = ready(route.handler, route.guard, UNBOUNDED if route.path in _ALWAYS_TAKEN else lane)
            resource.add_route(route.method, serve)
            if route.method == "GET":
                # aiohttp leaves the body out by itself.
                resource.add_route("HEAD", serve)
        resource.add_route("OPTIONS", ready(options(allowed), public))
        resource.add_route("*", ready(not_allowed(allowed), public))
    # A dot would not stand for a line break.
    app.router.add_route("*", r"/{path:[\s\S]*}", ready(not_found, public))

    async def run(app: web.Application) -> AsyncIterator[None]:
        async for _ in _run(app, config, prepared=prepared):
            yield

    app.cleanup_ctx.append(run)
    return app


async def _run(app: web.Application, config: Config, *, prepared: bool) -> AsyncIterator[None]:
    async with opened(config) as context:
        first = FirstPassword(context.database, config.database)
        app[CONTEXT] = context
        app[FIRST_LOGIN] = None if prepared else await _prepare(context, first)
        watch = asyncio.create_task(_watch(context, first, app[SPARING]))
        try:
            yield
        finally:
            watch.cancel()


async def prepare(config: Config) -> tuple[str | None, str]:
    """Brings the database up to date before the first of several workers uses it; (first password, engine).

    Raises DatabaseError.
    """
    if has_wal_reset_bug():
        raise DatabaseError(
            f"SQLite {VERSION} can damage a database that several workers use; install a newer one "
            "(pip install pysqlite3), or serve with one worker"
        )
    async with opened(config) as context:
        first = FirstPassword(context.database, config.database)
        return await _prepare(context, first), context.database.engine


async def _prepare(context: Context, first: FirstPassword) -> str | None:
    await context.tasks.recover()
    await context.tasks.resume()
    return await _ensure_administrator(context, first)


async def _watch(context: Context, first: FirstPassword, sparing: Sparing) -> None:
    # What this process changes it knows at once; of another one on the same file it learns here, and whether the file
    # is still there.
    database, token_key = context.database, None
    while True:
        await asyncio.sleep(WATCH_INTERVAL)
        try:
            await database.check()
            await first.forget_when_changed()
            stored = await database.look_up_by(auth.find_sealed_token_key)
            if stored != token_key:
                # Somebody has rotated the keys. What cannot be decrypted is told once.
                token_key = stored
                context.tokens.use_key(await database.look_up_by(auth.find_token_key))
        except LostDatabaseError:
            continue  # the log has said so
        except Exception as error:
            if isinstance(error, UnreadableSecretError) or sparing.due(_watch) is not None:
                expected = is_unavailable(error) or isinstance(error, (OSError, UnreadableSecretError))
                log.warning(
                    "Changes by other processes cannot be read: %s", error, exc_info=None if expected else error
                )


async def _ensure_administrator(context: Context, first: FirstPassword) -> str | None:
    """Sees to it that `admin` is there, with the configured password if there is one.

    One that is made up is shown on a terminal or kept in a file, and never in what a journal may store; how it can be
    known is returned.
    """
    database, passwords, given = context.database, context.passwords, context.config.admin_password
    if await auth.select_account(database, ADMIN_ID) is None:
        password, shown = given or secrets.token_urlsafe(12), sys.stdout.isatty()
        keep = None if given or shown else first.keep
        if await database.write(_make_administrator, await passwords.hash(password), password, keep):
            if keep is None:
                await asyncio.to_thread(first.forget)  # of a database that is gone
            if given:
                return None
            return f"{password} - it is shown this once" if shown else f"in {first.path} - change it, and the file goes"
    # It was there before, or another process has just made it, which then tells the password.
    account = await auth.select_account(database, ADMIN_ID)
    if given and account is not None and not await passwords.verify(account.password, given):
        # Whoever sets the variable owns the machine; this is also the way back in when the password is lost.
        await database.write(auth.set_password, ADMIN_ID, await passwords.hash(given))
    return None


def _make_administrator(
    connection: sqlite3.Connection, hashed: str, password: str, keep: Callable[[str], None] | None
) -> bool:
    made = auth.ensure_administrator(connection, hashed)
    # Before the commit: an administrator whose password nobody knows would be worse than a file about nobody.
    if made and keep is not None:
        try:
            keep(password)
        except OSError as error:
            raise DatabaseError(f"The first password cannot be written beside the database: {error.strerror}") from None
    return made
