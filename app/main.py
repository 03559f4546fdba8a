"""create_app(): the HTTP application around the parts from app/wiring.py."""

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cache, partial

from aiohttp import web

from postroom.app.auth.first_password import FirstPassword
from postroom.app.auth.tokens import ADMIN_ID
from postroom.app.config import Config
from postroom.app.handlers import docs
from postroom.app.limits.in_flight import IN_FLIGHT, UNBOUNDED, InFlight, Lane
from postroom.app.limits.sparing import Sparing
from postroom.app.metrics.catalogue import Metrics
from postroom.app.openapi import document
from postroom.app.outside import (
    DOCS,
    METRICS_PAGE,
    OPTIONS,
    OTHER_METHOD,
    PAGE,
    PROBED,
    PROBES,
    UNKNOWN,
    make_metrics,
    operation_name,
)
from postroom.app.routes import BASE, ROUTES
from postroom.app.services import audit, measuring, upkeep
from postroom.app.services.context import Context
from postroom.app.services.rounds import keep_doing
from postroom.app.web.endpoints import (
    allowed_methods,
    endpoint,
    not_allowed,
    not_found,
    options,
    uncounted,
)
from postroom.app.web.error_responses import SPARING
from postroom.app.web.inputs import MAX_BODY
from postroom.app.web.keys import CURRENT, METRICS, Current
from postroom.app.web.routing import Guard, Handler, Route, public
from postroom.app.wiring import opened
from postroom.storage import auth
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError, is_unavailable
from postroom.storage.opening import identity
from postroom.storage.presence import Identity
from postroom.storage.sqlite import VERSION, has_wal_reset_bug
from postroom.storage.urls import is_url, shown

log = logging.getLogger("postroom")

#: Seconds until a change of permissions by another process takes effect.
WATCH_INTERVAL = 1.0

#: Tells the person who started the service where to find the generated first password; None if there is none.
FIRST_LOGIN = web.AppKey[str | None]("first_login", str | None)  # type: ignore[arg-type]

#: Paths without a limit of requests in flight: the status, which must always be visible, and the login. The login
#: handler reads its body itself, so slow clients would lock out others; password checks have their own queue.
_UNLIMITED = ("/status", "/login", "/me/login", "/healthz", "/readyz", "/metrics")


def create_app(config: Config, prepared: Identity = None, metrics: Metrics | None = None) -> web.Application:
    """The application, ready to be served. It opens the database when it starts and closes it when it stops.

    `prepared`: the file that `prepare` has brought up to date already. `metrics`: those of all workers.
    """
    app = make_app(config, metrics)

    async def run(app: web.Application) -> AsyncIterator[None]:
        async for _ in _run(app, config, prepared):
            yield

    app.cleanup_ctx.append(run)
    return app


def make_app(config: Config, metrics: Metrics | None = None, beside: Sequence[Route] = ()) -> web.Application:
    """The routes of the application, which needs CURRENT before it serves a request.

    `beside`: further rows, with whole paths and without a limit of requests in flight.
    """
    app = web.Application(client_max_size=MAX_BODY)
    in_flight = app[IN_FLIGHT] = InFlight()
    if metrics is None:
        metrics = make_metrics(config)
        metrics.begin(0, os.getpid())
    app[METRICS] = metrics
    metrics.in_flight.follow(lambda: in_flight.count)
    app[SPARING] = Sparing()
    describe: Callable[[], bytes] = cache(partial(document.build, BASE, ROUTES))
    app[docs.DOCUMENT] = describe

    def ready(handler: Handler, guard: Guard, operation: str, lane: Lane = UNBOUNDED) -> Handler:
        return endpoint(
            handler, guard, in_flight, lane,
            access_log=config.access_log and operation not in PROBED,
            count=metrics.counting(operation) if config.metrics else uncounted,
        )  # fmt: skip

    paths: dict[str, list[Route]] = {}
    for route in ROUTES:
        paths.setdefault(BASE + route.path, []).append(route)
    optional = [*(PAGE if config.page else []), *([METRICS_PAGE] if config.metrics else [])]
    for route in [*DOCS, *PROBES, *optional, *beside]:
        paths.setdefault(route.path, []).append(route)
    for path, routes in paths.items():
        # An address may hold braces, but aiohttp's default pattern for a part of a path does not match them.
        resource = app.router.add_resource(path.replace("}", ":[^/]+}"))
        allowed = allowed_methods(route.method for route in routes)
        for route in routes:
            lane = in_flight.lane(route.method, anonymous=route.guard is public)
            unlimited = route.path in _UNLIMITED or route in beside
            name = UNKNOWN if route in beside else operation_name(route)
            serve = ready(route.handler, route.guard, name, UNBOUNDED if unlimited else lane)
            resource.add_route(route.method, serve)
            if route.method == "GET":
                # aiohttp itself leaves out the body of the response.
                resource.add_route("HEAD", serve)
        resource.add_route("OPTIONS", ready(options(allowed), public, OPTIONS))
        resource.add_route("*", ready(not_allowed(allowed), public, OTHER_METHOD))
    # A dot would not match a line break.
    app.router.add_route("*", r"/{path:[\s\S]*}", ready(not_found, public, UNKNOWN))
    return app


async def _run(app: web.Application, config: Config, prepared: Identity) -> AsyncIterator[None]:
    # A worker that takes the place of another must not begin anew where the database is gone.
    if prepared is not None and identity(config.database) != prepared:
        raise DatabaseError(f"The database {shown(config.database)} has been removed or replaced; restart postroom")
    async with opened(config, create=prepared is None, metrics=app[METRICS]) as context:
        first = FirstPassword(context.database, config.beside)
        app[CURRENT] = Current(context)
        app[FIRST_LOGIN] = None if prepared is not None else await _prepare(context, first)
        context.backups.start()
        jobs = _start_jobs(context, first)
        try:
            yield
        finally:
            for job in jobs:
                job.cancel()
            await _store_uses(context)


async def _store_uses(context: Context) -> None:
    try:
        await context.tokens.uses.store(context.database)
    except Exception as error:
        if not is_unavailable(error):
            raise
        log.warning("When tokens and sessions were last used could not be stored: %s", error)


async def prepare(config: Config) -> tuple[str | None, str]:
    """Brings the database up to date before the first worker uses it; (first password, engine).

    Raises DatabaseError.
    """
    if config.workers > 1 and has_wal_reset_bug() and not is_url(config.database):
        raise DatabaseError(
            f"SQLite {VERSION} can damage a database that several workers use; install a newer one "
            "(pip install pysqlite3), or serve with one worker"
        )
    async with opened(config) as context:
        first = FirstPassword(context.database, config.beside)
        return await _prepare(context, first), context.database.engine


async def _prepare(context: Context, first: FirstPassword) -> str | None:
    await context.tasks.recover()
    await context.tasks.resume()
    return await _ensure_administrator(context, first)


def _start_jobs(context: Context, first: FirstPassword) -> list[asyncio.Task[None]]:
    """What is done again and again, besides backups, which have to end with their thread."""
    keep = partial(_keep_doing, context)
    return [
        keep("watch", WATCH_INTERVAL, partial(_watch, first), at_once=False),
        keep("uses", upkeep.STORED_EVERY, upkeep.store_uses, at_once=False),
        keep("expired", upkeep.CLEARED_EVERY, upkeep.clear_expired, at_once=False),
        keep("audit", audit.LOOK_AGAIN, audit.forget_old_changes),
        keep("sample", measuring.SAMPLED_EVERY, measuring.sample),
        keep("devices", measuring.DEVICES_EVERY, measuring.count_devices_for_all),
    ]


def _keep_doing(
    context: Context, job: str, every: float, work: Callable[[Context], Awaitable[bool | None]], *, at_once: bool = True
) -> asyncio.Task[None]:
    doing = keep_doing(job, every, partial(work, context), context.metrics.rounds.add, at_once=at_once)
    return asyncio.create_task(doing)


async def _watch(first: FirstPassword, context: Context) -> None:
    # This process knows its own changes at once. Here it learns about changes by other processes on the same file, and
    # whether the file still exists.
    await context.database.check()
    await first.forget_when_changed()
    await context.tasks.recover()
    await context.tokens.refresh()


async def _ensure_administrator(context: Context, first: FirstPassword) -> str | None:
    """Creates `admin` if missing, and sets the configured password if there is one.

    A generated password is shown on a terminal or written to a file, but never printed where a journal may store it.
    Returns how to find it, or None.
    """
    database, passwords, given = context.database, context.passwords, context.config.admin_password
    if await auth.select_account(database, ADMIN_ID) is None:
        password, shown = given or secrets.token_urlsafe(12), sys.stdout.isatty()
        keep = None if given or shown else first.keep
        if await database.write_once(_make_administrator, await passwords.hash(password), password, keep):
            if keep is None:
                await asyncio.to_thread(first.forget)  # left by a database that is gone
            if given:
                return None
            return f"{password} - it is shown this once" if shown else f"in {first.path} - change it, and the file goes"
    # The account existed before, or another process has just created it and shows the password itself.
    account = await auth.select_account(database, ADMIN_ID)
    if given and account is not None and not await passwords.verify(account.password, given):
        # Only the owner of the machine can set the variable. This is also the way back in when the password is lost.
        await database.write(auth.set_password, ADMIN_ID, await passwords.hash(given))
    return None


def _make_administrator(connection: Connection, hashed: str, password: str, keep: Callable[[str], None] | None) -> bool:
    made = auth.ensure_administrator(connection, hashed)
    # Before the commit: a left-over file is better than an administrator whose password nobody knows.
    if made and keep is not None:
        try:
            keep(password)
        except OSError as error:
            raise DatabaseError(f"The first password cannot be written beside the database: {error.strerror}") from None
    return made
