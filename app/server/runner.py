"""Serves an application with our own connection class, in the program and in its tests alike."""

import asyncio
from collections.abc import Awaitable, Sequence

from aiohttp import HttpVersion10, web

from postroom.app.limits.clients import Limits
from postroom.app.metrics.catalogue import INVALID, Metrics
from postroom.app.server.connections import Connections
from postroom.app.server.protocol import Connection
from postroom.app.web.keys import METRICS
from postroom.app.web.responses import json_response


def make_runner(app: web.Application, shutdown_timeout: float, limits: Limits | None = None) -> web.AppRunner:
    """The runner that serves the application; the program and its tests use the same."""
    return _Runner(
        app, Connections(limits or Limits(), app.get(METRICS) or Metrics()), shutdown_timeout=shutdown_timeout
    )


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
    """Accepts connections, and passes their requests to the application's own server."""

    def __init__(self, server: web.Server, methods: Sequence[str], watched: Connections) -> None:
        super().__init__(
            self._take,
            request_factory=server.request_factory,
            keepalive_timeout=watched.limits.idle,
            # The access log is written in endpoints.py.
            access_log=None,
            # Bodies are never decompressed, not even to discard them: a few bytes can become very many.
            auto_decompress=False,
        )
        self._route = server.request_handler
        self._time = asyncio.get_running_loop().time
        #: All methods of all paths.
        self.methods = methods
        self.watched = watched

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)

    def _take(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        # Not a coroutine of its own: this runs for every request.
        request.protocol.began = self._time()  # type: ignore[attr-defined]
        if request.version[0] == 1:
            return self._route(request)
        self.watched.metrics.requests.add(INVALID, 505)
        return _refuse_version(request)


async def _refuse_version(request: web.BaseRequest) -> web.Response:
    # Otherwise the response would have the version that it refuses.
    request._cache["version"] = HttpVersion10  # noqa: SLF001 - where aiohttp remembers it
    response = json_response({"message": "Only HTTP/1.1 and HTTP/1.0 are supported"}, 505)
    response.force_close()
    return response
