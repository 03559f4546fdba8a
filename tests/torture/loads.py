"""Power losses under load: each image has all that was acknowledged before its moment."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import ClientSession

from postroom.storage.connections import connect_plain, uri_of
from postroom.storage.keyring import Keyring
from postroom.storage.user_documents import document
from tests.load.ledger import Version
from tests.load.load import Load
from tests.load.users import shape
from tests.support.service import ADMIN_PASSWORD
from tests.support.slapd import Slapd
from tests.torture.disk import present
from tests.torture.images import NAME, Images, column, look
from tests.torture.process import Process
from tests.torture.shim import Shim
from tests.torture.sound import complaints

#: One of so many images is also read over HTTP, as a whole.
_SERVED: Final = 100


def of_a_load(root: Path, seconds: float, found: Images, *, lie: bool) -> None:
    """Records a load of some seconds, and looks at its images. `lie`: syncs do nothing."""
    folder = root / "load"
    folder.mkdir()
    start = present(folder)
    with Slapd() as slapd, Shim(folder, record=True) as shim:
        process = Process(folder, str(folder / NAME), environ=shim.environ)
        with process:
            if lie:
                shim.lie()
            load = asyncio.run(_load(process, shim, slapd, seconds, found.seed))
    found.acknowledged = sum(load.ledger.acknowledged.values())
    found.faults += load.ledger.lies
    after = min(version.begun for entry in load.ledger.entries for version in entry.versions if version.begun > 0)

    def check(image: Path, at: int) -> list[str]:
        lines = complaints(str(image), str(image.with_name("keys"))) + _compare(image, load, at)
        if not lines and found.checked["load"] % _SERVED == 0:
            found.served += 1
            lines = asyncio.run(_serve(image, load, at))
        return lines

    look(found, "load", shim, start, check, int(after))


async def _load(process: Process, shim: Shim, slapd: Slapd, seconds: float, seed: int) -> Load:
    async with ClientSession() as session:
        load = Load(session, [process.url], seed, slapd, now=lambda: shim.position)
        await load.prepare(ADMIN_PASSWORD)
        running = asyncio.create_task(load.run())
        await asyncio.sleep(seconds)
        load.stop()
        await running
        return load


def _compare(path: Path, load: Load, at: int) -> list[str]:
    """What differs from the ledger: users, domains, organisations, roles and the record, as SQLite reads them."""
    with closing(connect_plain(uri_of(str(path)), Keyring(None))) as connection:
        users = {each["ID"]: each for each in map(orjson.loads, column(connection, _USERS))}
        wrong = load.record.missing(connection.execute("SELECT request_id, object_id FROM audit"), at)
        names = {kind: set(column(connection, sql)) for kind, sql in _NAMES.items()}
    for entry in load.ledger.entries:
        allowed = entry.allowed(at)
        kind, _, name = entry.key.partition(":")
        if kind in names:
            if (name in names[kind]) not in {each is not None for each in allowed}:
                wrong.append(f"{entry.key} is{' not' * (name not in names[kind])} there")
        elif "@" in entry.key and entry.object_id is not None:
            stored = users.get(entry.object_id)
            if not any(_is_same(each, stored) for each in allowed):
                wrong.append(f"{entry.key} is {stored}")
    return wrong


_USERS: Final = f"SELECT {document(2)} FROM users u"
_NAMES: Final = {
    "domain": "SELECT domainname FROM domains",
    "org": "SELECT name FROM orgs",
    "role": "SELECT name FROM roles",
    "token": "SELECT name FROM api_tokens",
}


def _is_same(wanted: dict[str, Any] | None, stored: dict[str, Any] | None) -> bool:
    if wanted is None or stored is None:
        return wanted is stored
    return bool(shape(stored) == wanted["user"])


async def _serve(path: Path, load: Load, at: int) -> list[str]:
    """Starts a service on the image, and compares all that it reads."""
    with _as_of(load, at):
        process = Process(path.parent, str(path))
        await asyncio.to_thread(process.start)
        try:
            async with ClientSession() as session:
                load.service.session = session
                await load.check(process.url, until=at)
        finally:
            await asyncio.to_thread(process.kill)
        wrong, load.ledger.lost, load.ledger.lies = [*load.ledger.lost, *load.ledger.lies], [], []
        return wrong


@contextmanager
def _as_of(load: Load, at: int) -> Iterator[None]:
    """The ledger as it was at a moment; it is put back at the end."""
    before = [(entry, copy(entry)) for entry in load.ledger.entries]
    users = [(client, client.users) for client in load.clients]
    for entry, _ in before:
        first, *others = entry.allowed(at)
        entry.versions = [Version(first), *(Version(each, 0, None) for each in others)]
    try:
        yield
    finally:
        for entry, old in before:
            entry.versions, entry.object_id = old.versions, old.object_id
        for client, own in users:
            client.users = own
