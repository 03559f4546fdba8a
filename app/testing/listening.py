"""Where the server of a test listens."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Protocol

from aiohttp import UnixConnector, web

from postroom.testing.errors import HarnessError


class Place(Protocol):
    """Where it listens."""

    async def listen(self, runner: web.AppRunner) -> str:
        """Begins to listen, and returns the URL. Raises HarnessError."""
        ...

    def connector(self) -> UnixConnector | None:
        """How clients get there; None: as the URL says."""
        ...


class OnLoopback:
    """A port on 127.0.0.1; 0 takes a free one."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def listen(self, runner: web.AppRunner) -> str:
        """Begins to listen. Raises HarnessError when the port is taken."""
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except OSError as error:
            raise HarnessError(
                f"Port {self._port} on 127.0.0.1 cannot be used ({error.strerror}); leave it out to get a free one"
            ) from None
        return _url(runner)

    def connector(self) -> None:
        """The URL says it."""


class OnSockets:
    """Sockets that are bound already."""

    def __init__(self, sockets: Sequence[socket]) -> None:
        self._sockets = sockets

    async def listen(self, runner: web.AppRunner) -> str:
        """Begins to listen on all of them; the URL is that of the first."""
        for each in self._sockets:
            await web.SockSite(runner, each).start()
        return _url(runner)

    def connector(self) -> None:
        """The URL says it."""


class _OnAFile:
    def __init__(self, path: Path) -> None:
        self._path = str(path)

    async def listen(self, runner: web.AppRunner) -> str:
        await web.UnixSite(runner, self._path).start()
        return "http://localhost"

    def connector(self) -> UnixConnector:
        return UnixConnector(self._path)


@contextmanager
def on_a_file() -> Iterator[Place]:
    """A Unix socket, for as long as the block runs: no port is taken."""
    with tempfile.TemporaryDirectory(prefix="postroom-") as folder:
        yield _OnAFile(Path(folder) / "socket")


def _url(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - they lead here # nosec B104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
