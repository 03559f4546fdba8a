"""A service that Postfix and Dovecot can ask, as a process, and its plain clients."""

import contextlib
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from aiohttp import ClientSession

from tests.app.test_cli import POSTROOM, Running, stopped_at_the_end

PASSWORD = "a long enough password"

#: Becomes the service with inherited sockets, as systemd would start it: descriptors and names are arguments.
ACTIVATOR = """
import os, sys
descriptors, names = sys.argv[1].split(","), sys.argv[2]
high = [os.dup2(int(each), 100 + number) for number, each in enumerate(descriptors)]
for number, each in enumerate(high):
    os.dup2(each, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=names)
os.execv(sys.argv[3], sys.argv[3:])
"""


@contextlib.contextmanager
def serving_mail(folder: Path, *options: str, **environ: str) -> Iterator[Running]:
    """Runs a service with sockets in the folder `mail`, unless the settings name another."""
    settings = {"POSTROOM_MAIL_SOCKETS": str(folder / "mail"), "POSTROOM_ADMIN_PASSWORD": PASSWORD, **environ}
    Path(settings["POSTROOM_MAIL_SOCKETS"]).mkdir(exist_ok=True)
    with stopped_at_the_end(Running(folder, *options, **settings)) as running:
        yield running


@contextlib.contextmanager
def activated(folder: Path, sockets: dict[str, socket.socket], *options: str, **environ: str) -> Iterator[Running]:
    """Runs a service with sockets that somebody else keeps."""
    descriptors = [each.fileno() for each in sockets.values()]
    command: Sequence[str | Path] = (
        sys.executable, "-c", ACTIVATOR, ",".join(map(str, descriptors)), ":".join(sockets), str(POSTROOM),
    )  # fmt: skip
    settings = {"POSTROOM_ADMIN_PASSWORD": PASSWORD, **environ}

    class Activated(Running):
        inherited = descriptors

    with stopped_at_the_end(Activated(folder, *options, command=command, **settings)) as running:
        yield running


class Admin:
    """Calls to the API of a running service as its administrator."""

    def __init__(self, running: Running) -> None:
        self._session = ClientSession(f"http://127.0.0.1:{running.ports[0]}")
        #: Those of the login.
        self.headers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        async with self._session.post("/api/v1/login", data={"user": "admin", "pass": PASSWORD}) as response:
            token = (await response.json())["grommunioAuthJwt"]
        self.headers["Authorization"] = f"Bearer {token}"
        self._session.headers.update(self.headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """The body of a response, which has to be a success."""
        async with self._session.request(method, f"/api/v1{path}", json=body) as response:
            assert response.status < 300, await response.text()
            found: dict[str, object] = await response.json()
            return found

    async def domain(self, name: str = "example.org") -> str:
        """The path of a new domain."""
        return f"/domains/{(await self.call('POST', '/system/domains', {'domainname': name, 'maxUser': 1000}))['ID']}"

    async def user(self, domain: str, name: str, **fields: object) -> str:
        """The path of a new user."""
        body = {"username": name, **({} if "status" in fields else {"password": PASSWORD}), **fields}
        return f"{domain}/users/{(await self.call('POST', f'{domain}/users', body))['ID']}"


class Client:
    """A plain client of a socket, which waits."""

    def __init__(self, path: Path | str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Sends bytes."""
        self._socket.sendall(data)

    def look_up(self, name: str, key: str | bytes) -> str:
        """What Postfix would read."""
        request = name.encode() + b" " + (key if isinstance(key, bytes) else key.encode())
        self.send(b"%d:%b," % (len(request), request))
        return self.reply()

    def reply(self) -> str:
        """The next netstring. ConnectionError at the end."""
        while (found := re.match(rb"(\d+):", self._received)) is None or len(self._received) <= found.end() + int(
            found[1]
        ):
            self._more()
        end = found.end() + int(found[1])
        assert self._received[end : end + 1] == b","
        text, self._received = self._received[found.end() : end], self._received[end + 1 :]
        return text.decode()

    def line(self, *fields: str) -> str:
        """The line that comes back for one with these fields."""
        self.send("\t".join(fields).encode() + b"\n")
        return self.next_line()

    def next_line(self) -> str:
        """The next line. ConnectionError at the end."""
        while b"\n" not in self._received:
            self._more()
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def _more(self) -> None:
        piece = self._socket.recv(65536)
        if not piece:
            raise ConnectionError("the end")
        self._received += piece
