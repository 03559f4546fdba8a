"""The Unix socket on which /service needs no login: the permissions of its file decide who may connect."""

import asyncio
import fcntl
import grp
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aiohttp import web

from postroom.app.limits.clients import BACKLOG

#: Seconds to wait for the lock while another process creates its socket in the same folder.
_LOCK_TIMEOUT = 2.0


class ServiceSocketError(Exception):
    """The socket cannot be created; the text is one line for the person who started the service."""


class ServiceSocket:
    """A listening socket and its file."""

    def __init__(self, path: Path, listening: socket.socket, file: tuple[int, int] | None = None) -> None:
        self.path = path
        self.listening = listening
        #: What the file was when it was made here; None: it is another process's to remove.
        self._file = file

    @classmethod
    def open(cls, path: str, group_id: int | None, *, shared: bool = False) -> "ServiceSocket":
        """Listens at the path. Its owner may connect, and the group if one is given; that of the process if `shared`.

        Replaces the socket file that a crash has left, but never one on which another process listens, nor any other
        kind of file. Raises ServiceSocketError.
        """
        where = Path(path)
        try:
            with _alone_in(where.absolute().parent):
                _make_room(where)
                return cls(where, _listen(where, group_id, shared=shared), _identity(where))
        except OSError as error:
            raise ServiceSocketError(f"Cannot listen on {path}: {error.strerror or error}") from None

    def remove(self) -> None:
        """Removes the file unless another process has replaced it. Call it while the socket still listens: otherwise
        another process may take the file for a left-over and put its own in the same place.
        """
        # Once only: later the inode number may belong to another file.
        mine, self._file = self._file, None
        with suppress(OSError):
            if mine is not None and _identity(self.path) == mine:
                self.path.unlink()

    def forget(self) -> None:
        """Leaves the file to another process that listens on the same socket."""
        self._file = None

    def close(self) -> None:
        """Removes the file and stops listening."""
        self.remove()
        self.listening.close()


class ServiceSocketSite(web.BaseSite):
    """Serves connections to the socket. aiohttp's own class for Unix sockets takes only a path and binds by itself."""

    def __init__(self, runner: web.BaseRunner, listening: socket.socket) -> None:
        super().__init__(runner)
        self._listening = listening

    @property
    def name(self) -> str:
        """The name of the site, as aiohttp writes it."""
        return f"http://unix:{self._listening.getsockname()}:"

    async def start(self) -> None:
        """Starts to accept connections."""
        await super().start()
        serve = self._runner.server
        if serve is None:
            raise RuntimeError("The runner is not set up")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(serve, sock=self._listening, backlog=self._backlog)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Locks the folder. Without the lock, two processes that start at once could replace each other's socket."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(opened)
        yield
    finally:
        os.close(opened)


def _lock(folder: int) -> None:
    limit = time.monotonic() + _LOCK_TIMEOUT
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
    """Removes a socket on which nobody listens. Raises ServiceSocketError for any other file at the path."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise ServiceSocketError(f"Cannot listen on {path}: there is a file that is not a socket")
    if not _is_left_over(path):
        raise ServiceSocketError(f"Cannot listen on {path}: another process does")
    path.unlink()


def _is_left_over(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        # A process that is too busy to accept still listens, so BlockingIOError means: not a left-over.
        client.setblocking(False)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return True
        except BlockingIOError:
            return False
    return False


def _listen(path: Path, group_id: int | None, *, shared: bool) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # From the first moment only the owner may connect.
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
            _give(path, group_id)
        if shared or group_id is not None:
            path.chmod(0o660)
        listening.listen(BACKLOG)
    except BaseException:
        path.unlink(missing_ok=True)
        listening.close()
        raise
    return listening


def _give(path: Path, group_id: int) -> None:
    try:
        os.chown(path, -1, group_id)
    except PermissionError:
        reason = f"the user that postroom runs as is not in the group {grp.getgrgid(group_id).gr_name}"
        raise ServiceSocketError(f"Cannot listen on {path}: {reason}") from None


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
