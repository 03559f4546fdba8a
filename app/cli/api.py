"""Asks the API: that of a service, or of the application inside this process on the local database.

Both are the same requests and responses, so a command need not know where it works.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, Final

import orjson
from aiohttp import ClientConnectorCertificateError, ClientError, ClientSession, ClientTimeout, UnixConnector, web

from postroom.app.cli.failures import Bugs, explained, log_taken_by, unknown_response
from postroom.app.cli.output import AWAY, BROKEN, REFUSED, console, print_json
from postroom.app.cli.places import Local, PlaceError, Remote
from postroom.schemas.values.text import printable

#: Seconds: to connect, and without a byte of the response. A service ends what takes it longer than a minute.
_TIMEOUT: Final = ClientTimeout(total=None, sock_connect=15, sock_read=90)
#: Seconds after which a person at a terminal is shown that something is under way.
PATIENCE: Final = 1.0
#: Of the response: it may be tried again, or it is a bug.
_AWAY: Final = (408, 429, 503)
_BUG: Final = 500
_FIRST_ERROR: Final = 400
#: Somebody else has changed the document.
_CHANGED: Final = 412
_ATTEMPTS: Final = 5
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})

Work = Callable[["Api"], Awaitable[int]]


class CommandError(Exception):
    """Ends a command with one line and an exit code."""

    def __init__(self, text: str, code: int = REFUSED) -> None:
        super().__init__(text)
        self.code = code


class RefusedError(CommandError):
    """The service has refused something; `status` is that of its response."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        reasons = [body.get("message") or f"Status {status}", body.get("error")]
        text = "; ".join(str(reason) for reason in reasons if reason)
        super().__init__(text, AWAY if status in _AWAY else BROKEN if status == _BUG else REFUSED)
        self.status = status


class UnfinishedError(Exception):
    """Some of many things were done before the reason in `__cause__` ended the command."""

    def __init__(self, done: int, wanted: int, results: list[dict[str, Any]]) -> None:
        super().__init__(f"{done} of {wanted} done")
        self.results = results


class Api:
    """The operations by their paths, such as `/domains/1/users`. Every failure is a RefusedError."""

    def __init__(self, session: ClientSession, base: str, token: str, *, local: bool) -> None:
        self._session = session
        self._base = base
        self._headers: dict[str, str] = {}
        self.use(token)
        #: Whether it is the application inside this process, which needs nobody's password.
        self.local = local
        #: Whether somebody else shows that something is under way.
        self.is_shown = False

    def use(self, token: str) -> None:
        """Asks with this token from now on; an empty one is none."""
        self._headers = {"User-Agent": "postroom", **({"Authorization": f"Bearer {token}"} if token else {})}

    async def get(self, path: str, **params: Any) -> Any:
        """The body of the response to a GET."""
        return await self.ask("GET", path, None, params)

    async def post(self, path: str, body: Any = None, **params: Any) -> Any:
        """The same of a POST."""
        return await self.ask("POST", path, body, params)

    async def put(self, path: str, body: Any = None, **params: Any) -> Any:
        """The same of a PUT."""
        return await self.ask("PUT", path, body, params)

    async def patch(self, path: str, body: Any = None, **params: Any) -> Any:
        """The same of a PATCH."""
        return await self.ask("PATCH", path, body, params)

    async def delete(self, path: str, **params: Any) -> Any:
        """The same of a DELETE."""
        return await self.ask("DELETE", path, None, params)

    async def update(self, path: str, change: Callable[[Any], Any], *, method: str = "PUT", below: str = "") -> Any:
        """Stores what `change` makes of a document (None: nothing); once more if somebody changes that meanwhile."""
        attempts = 0
        while True:
            attempts += 1
            document, version = await self._send("GET", path, None, _NONE, None)
            changed = change(document)
            try:
                return None if changed is None else (await self._send(method, path + below, changed, _NONE, version))[0]
            except RefusedError as error:
                if error.status != _CHANGED or attempts == _ATTEMPTS:
                    raise

    async def ask(self, method: str, path: str, body: Any = None, params: Mapping[str, Any] = _NONE) -> Any:
        """The body of a response."""
        return (await self._send(method, path, body, params, None))[0]

    async def _send(
        self, method: str, path: str, body: Any, params: Mapping[str, Any], version: str | None
    ) -> tuple[Any, str | None]:
        """(body, version of the document)"""
        headers, sent = dict(self._headers), None
        if body is not None:
            headers["Content-Type"], sent = "application/json", orjson.dumps(body)
        if version is not None:
            headers["If-Match"] = version
        async with (
            _patience(shown=self.is_shown),
            self._session.request(
                method, self._base + path, params=params, data=sent, headers=headers, allow_redirects=False
            ) as response,
        ):
            return _body(response.status, await response.read()), response.headers.get("ETag")


def _body(status: int, content: bytes) -> Any:
    try:
        body = orjson.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict | list) or not _FIRST_ERROR > status >= 200:
        if isinstance(body, dict) and "message" in body and status >= _FIRST_ERROR:
            raise RefusedError(status, body)
        away = AWAY if status >= _BUG else REFUSED
        raise CommandError(f"What responds there is not postroom (status {status}); check the URL", away)
    return body


@asynccontextmanager
async def _patience(*, shown: bool) -> AsyncIterator[None]:
    """Shows on a terminal that something takes a while."""
    if shown or not sys.stderr.isatty():
        yield
        return

    async def show() -> None:
        await asyncio.sleep(PATIENCE)
        out = console(stderr=True)
        with out.status("Waiting for the response", spinner="line"):
            await asyncio.Event().wait()

    task = asyncio.create_task(show())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def connected(place: Local | Remote, bugs: Bugs) -> AsyncIterator[Api]:
    """The API of this place."""
    if isinstance(place, Remote):
        async with ClientSession(timeout=_TIMEOUT) as session:
            yield Api(session, place.url, place.token, local=False)
        return
    # Not needed for a service, and large.
    from postroom.app.cli import configured
    from postroom.app.local import folder_for_socket, local_app
    from postroom.app.routes import BASE
    from postroom.app.server.runner import make_runner

    with log_taken_by(bugs), folder_for_socket() as folder:
        async with local_app(configured.load({"database": place.database})) as (app, token):
            runner = make_runner(app, 0)
            await runner.setup()
            try:
                await web.UnixSite(runner, f"{folder}/socket").start()
                async with ClientSession(connector=UnixConnector(f"{folder}/socket"), timeout=_TIMEOUT) as session:
                    yield Api(session, f"http://localhost{BASE}", token, local=True)
            finally:
                await runner.cleanup()


def run(place: Local | Remote, work: Work, *, json: bool) -> int:
    """Does the work and returns its exit code; a failure is one line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without umlauts must not stop the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    bugs = Bugs()
    try:
        code = asyncio.run(_run(place, work, bugs))
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:  # noqa: BLE001 - the last line of defence: a terminal is no place for a traceback
        reason = (error.__cause__ if isinstance(error, UnfinishedError) else None) or error
        if isinstance(reason, BrokenPipeError):
            raise reason from None  # the reader of the pipe has gone; typer handles this
        text, code = _reason(reason, place, bugs)
        if isinstance(error, UnfinishedError):
            text = f"{text}. Before that: {error}"
        if json:
            print_json(text, error.results if isinstance(error, UnfinishedError) else None)
        print(f"postroom: {printable(text)}", file=sys.stderr)
    finally:
        gc.enable()
    return code


async def _run(place: Local | Remote, work: Work, bugs: Bugs) -> int:
    current = asyncio.current_task()
    if current is not None:
        with suppress(ValueError, RuntimeError):  # only the main thread gets signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    async with connected(place, bugs) as api:
        gc.enable()
        return await work(api)


def _reason(error: BaseException, place: Local | Remote, bugs: Bugs) -> tuple[str, int]:
    match error:
        case RefusedError(status=500) if bugs.found:
            return f"This is a bug in postroom, please report it: {bugs.found}", BROKEN
        case RefusedError(status=401) if isinstance(place, Remote) and place.token:
            return f"{error}. Use another token, or postroom login again", REFUSED
        case CommandError():
            return str(error), error.code
        case PlaceError():
            return str(error), REFUSED
        case ClientConnectorCertificateError():
            return f"The certificate {place} is not valid: {error.certificate_error}", REFUSED
        case ClientError() | TimeoutError() if isinstance(place, Remote):
            why = str(error) or type(error).__name__
            return f"The service {place} cannot be reached ({why}); trying again may help", AWAY
        case LookupError() | TypeError() | AttributeError() | ValueError() if isinstance(place, Remote):
            return unknown_response(error, str(place)), REFUSED
    return explained(error)
