"""What somebody may do to make the others wait. Each goes on until it is cancelled, from an address of its own."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any, Final
from urllib.parse import urlsplit

API: Final = "/api/v1"
#: Where those who attack come from: another address of this machine than the others'.
ATTACKER: Final = "127.0.0.66"
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A service under attack."""

    url: str
    #: Of an administrator of the domain, who is the one to attack where it needs a login.
    token: str
    domain_id: int
    user_id: int

    @property
    def users(self) -> str:
        """The list of the domain's users."""
        return f"{API}/domains/{self.domain_id}/users"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from the attacker's address."""
        at = urlsplit(self.url)
        return await asyncio.open_connection(at.hostname, at.port, local_addr=(ATTACKER, 0))

    def request(self, line: str, body: bytes = b"", *headers: str, login: bool = True) -> bytes:
        """A whole request."""
        lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", *headers]
        if login:
            lines.append(f"Authorization: Bearer {self.token}")
        if body or not line.startswith("GET"):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body


Attack = Callable[[Target], Coroutine[Any, Any, None]]


async def _again(target: Target, sent: bytes) -> None:
    """Sends it, takes what comes, and begins anew."""
    while True:
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await target.connect()
            try:
                writer.write(sent)
                async with asyncio.timeout(10):
                    await reader.read(65536)
            finally:
                writer.close()
        await asyncio.sleep(0.001)


async def _many(count: int, one: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(one() for _ in range(count)))


def _flood(line: str, body: bytes, *headers: str, login: bool = True, clients: int = 8) -> Attack:
    """The same request, by so many clients at once."""

    async def attack(target: Target) -> None:
        path = line.format(users=target.users, domain=target.domain_id, user=target.user_id)
        sent = target.request(path, body, *headers, login=login)
        await _many(clients, lambda: _again(target, sent))

    return attack


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


async def _hold(target: Target, first: bytes, then: bytes, seconds: float) -> None:
    """A connection that sends a little, and then a little again, for as long as it is let."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await target.connect()
            try:
                writer.write(first)
                while not reader.at_eof():
                    await asyncio.sleep(seconds)
                    writer.write(then)
                    await writer.drain()
                    if writer.transport.is_closing():
                        break
            finally:
                writer.close()
        await asyncio.sleep(0.05)


async def _slow_heads(target: Target) -> None:
    await _many(400, lambda: _hold(target, b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nX: ", b"a", 0.5))


async def _slow_bodies(target: Target) -> None:
    first = target.request(f"POST {API}/login", b"x" * 1000, "Content-Type: application/json", login=False)[:-990]
    await _many(400, lambda: _hold(target, first, b"x", 0.5))


async def _idle_connections(target: Target) -> None:
    await _many(3000, lambda: _hold(target, b"", b"", 5))


async def _reads_nothing(target: Target) -> None:
    sent = target.request(f"GET {target.users}?limit=20000&level=1") * 50

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                _, writer = await target.connect()
                try:
                    writer.transport.pause_reading()  # type: ignore[attr-defined]
                    writer.write(sent)
                    await asyncio.sleep(30)
                finally:
                    writer.transport.abort()

    await _many(10, one)


async def _hangs_up(target: Target) -> None:
    words = "+".join("abcdefgh")
    sent = target.request(f"GET {target.users}?match={words}&limit=1")

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await target.connect()
                writer.write(sent)
                await asyncio.sleep(0.02)
                writer.transport.abort()

    await _many(16, one)


async def _pipelines(target: Target) -> None:
    sent = target.request(f"GET {API}/status", login=False) * 500
    await _many(8, lambda: _again(target, sent))


def _bomb() -> bytes:
    return gzip.compress(b" " * (200 * _MEBIBYTE), 9)


_FORM: Final = "Content-Type: application/x-www-form-urlencoded"
_AS_JSON: Final = "Content-Type: application/json"
_DOMAINS: Final = [f"a{number}@ü{number}ßé{number}.example" for number in range(30_000)]


def attacks() -> Sequence[tuple[str, Attack]]:
    """(what is done, the attack). Made when they are needed: some bodies are large."""
    user = "PATCH {users}/{user}"
    return [
        (
            "charset=punycode, a mebibyte of form",
            _flood(
                f"POST {API}/login", b"user=" + b"a-" * 500_000, f"{_FORM}; charset=punycode", login=False, clients=2,
            ),
        ),
        (
            "a bomb of gzip, 200 MiB inside",
            _flood(f"POST {API}/login", _bomb(), _AS_JSON, "Content-Encoding: gzip", login=False, clients=4),
        ),
        (
            "a form of 500,000 fields",
            _flood(f"POST {API}/login", b"a&" * 500_000, _FORM, login=False),
        ),
        (
            "a multipart of 10,000 parts",
            _flood(
                f"POST {API}/login", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 18_000,
                "Content-Type: multipart/form-data; boundary=x", login=False,
            ),
        ),
        ("an object of 100,000 keys", _flood(user, _json({f"k{number}": 1 for number in range(80_000)}), _AS_JSON)),
        ("a list in a list, 500,000 deep", _flood(user, b"[" * 500_000, _AS_JSON)),
        ("30,000 aliases of international domains", _flood(user, _json({"aliases": _DOMAINS}), _AS_JSON)),
        ("30,000 delegates of such domains", _flood("PUT {users}/{user}/delegates", _json(_DOMAINS), _AS_JSON)),
        ("400 heads, a byte every half second", _slow_heads),
        ("400 bodies, a byte every half second", _slow_bodies),
        ("3,000 connections that say nothing", _idle_connections),
        ("large answers that nobody reads", _reads_nothing),
        ("requests whose client hangs up", _hangs_up),
        ("500 requests in a row on each connection", _pipelines),
        (
            "searches of 500 words",
            _flood("GET {users}?limit=1&match=" + "+".join(["a"] * 500), b"", clients=6),
        ),
        ("searches that find everything", _flood("GET {users}?limit=1&match=a+e+i+o", b"", clients=6)),
        ("lists of everybody, sorted by a property", _flood("GET {users}?sort=displayname&level=2", b"", clients=6)),
        (
            "1,000 logins at once, all wrong",
            _flood(f"POST {API}/login", _json({"user": "x@y.z", "pass": "no"}), _AS_JSON, login=False, clients=1000),
        ),
    ]  # fmt: skip


def carry_out(name: str, target: Target, begun: Event) -> None:
    """The attack of this name, until the process is killed."""
    attack = dict(attacks())[name]
    begun.set()
    asyncio.run(attack(target))
