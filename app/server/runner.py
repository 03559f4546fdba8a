"""Serving an application with connections of our own, in the program and in its tests alike."""

import asyncio
from collections.abc import Awaitable, Sequence

from aiohttp import HttpVersion10, web

from postroom.app.limits.clients import Limits
from postroom.app.server.connections import Connections
from postroom.app.server.protocol import Connection
from postroom.app.web.responses import json_response


def make_runner(app: web.Application, shutdown_timeout: float, limits: Limits | None = None) -> web.AppRunner:
    """What serves the application, in the program and in its tests alike."""
    return _Runner(app, Connections(limits or Limits()), shutdown_timeout=shutdown_timeout)


class _Runner(web.AppRunner):
    def __init__(self, app: web.Application, connections: Connections, *, shutdown_timeout: float) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._connections = connections

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        self._connections.start()
        return Server(server, sorted({route.method for route in self.app.router.routes()} - {"*"}), self._connections)

    async def _cleanup_server(self) -> None:
        self._connections.stop()
        await super()._cleanup_server()


class Server(web.Server):
    """Hands requests to an application's own server, and takes connections by itself."""

    def __init__(self, server: web.Server, methods: Sequence[str], watched: Connections) -> None:
        super().__init__(
            self._take,
            request_factory=server.request_factory,
            keepalive_timeout=watched.limits.idle,
            # The access log is written in endpoints.py.
            access_log=None,
            # No body is inflated, not even to be thrown away: a little of it can become very much.
            auto_decompress=False,
        )
        self._route = server.request_handler
        self._time = asyncio.get_running_loop().time
        #: All that any path has.
        self.methods = methods
        self.watched = watched

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)

    def _take(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        # No coroutine of its own: this is on the way of every request.
        request.protocol.began = self._time()  # type: ignore[attr-defined]
        return self._route(request) if request.version[0] == 1 else _refuse_version(request)


async def _refuse_version(request: web.BaseRequest) -> web.Response:
    # Otherwise the answer would bear the version that it refuses.
    request._cache["version"] = HttpVersion10  # noqa: SLF001 - where aiohttp remembers it
    response = json_response({"message": "Only HTTP/1.1 and HTTP/1.0 are spoken here"}, 505)
    response.force_close()
    return response
