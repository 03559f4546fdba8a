"""The Unix socket on which /service needs no login: the permissions of a file decide who may ask."""

import asyncio
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aiohttp import web

#: Seconds that another start in the same folder may take until it has its socket.
_PATIENCE = 2.0


class ServiceSocketError(Exception):
    """The socket cannot be had; the text is one line for the person who started the service."""


class ServiceSocket:
    """A socket that listens, and the file by which it is reached."""

    def __init__(self, path: Path, listening: socket.socket) -> None:
        self.path = path
        self.listening = listening
        self._file: tuple[int, int] | None = _identity(path)

    @classmethod
    def open(cls, path: str, group_id: int | None) -> "ServiceSocket":
        """Listens at the path, for its owner alone or for a group as well.

        What a crash has left is replaced; what another process listens on, or is no socket, never. Raises
        ServiceSocketError.
        """
        where = Path(path)
        try:
            with _alone_in(where.absolute().parent):
                _make_room(where)
                return cls(where, _listen(where, group_id))
        except OSError as error:
            raise ServiceSocketError(f"Cannot listen on {path}: {error.strerror or error}") from None

    def remove(self) -> None:
        """Removes the file unless it is another's by now. To be called while the socket still listens: until then
        nobody takes the file for a left-over and puts their own there.
        """
        # Once only: later the number of the file may be another's.
        mine, self._file = self._file, None
        with suppress(OSError):
            if mine is not None and _identity(self.path) == mine:
                self.path.unlink()

    def forget(self) -> None:
        """Leaves the file to another process that listens on the same socket."""
        self._file = None

    def close(self) -> None:
        """Removes the file and ends listening."""
        self.remove()
        self.listening.close()


class ServiceSocketSite(web.BaseSite):
    """Serves what comes over the socket. aiohttp has a site for a path only, and would bind by itself."""

    def __init__(self, runner: web.BaseRunner, listening: socket.socket) -> None:
        super().__init__(runner)
        self._listening = listening

    @property
    def name(self) -> str:
        """What aiohttp calls it."""
        return f"http://unix:{self._listening.getsockname()}:"

    async def start(self) -> None:
        """Begins to take connections."""
        await super().start()
        serve = self._runner.server
        if serve is None:
            raise RuntimeError("The runner is not set up")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(serve, sock=self._listening, backlog=self._backlog)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Of two starts at once the later one waits, or both would find the same left-over and replace each other."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(opened)
        yield
    finally:
        os.close(opened)


def _lock(folder: int) -> None:
    limit = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.02)
        else:
            return


def _make_room(path: Path) -> None:
    """Removes a socket on which nobody listens. Raises ServiceSocketError for anything else that is there."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise ServiceSocketError(f"Cannot listen on {path}: what is there is no socket, and is left alone")
    if not _is_left_over(path):
        raise ServiceSocketError(f"Cannot listen on {path}: another process does")
    path.unlink()


def _is_left_over(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        # One that is too busy to answer is there, too.
        client.setblocking(False)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return True
        except BlockingIOError:
            return False
    return False


def _listen(path: Path, group_id: int | None) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # From its first moment on the file is the owner's alone.
    mask = os.umask(0o177)
    try:
        listening.bind(str(path))
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(mask)
    try:
        if group_id is not None:
            os.chown(path, -1, group_id)
            path.chmod(0o660)
        listening.listen(1024)
    except BaseException:
        path.unlink(missing_ok=True)
        listening.close()
        raise
    return listening


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
