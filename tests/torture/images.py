"""Power losses: every image of the disk that one may leave has to have all that was acknowledged before.

The service runs under shim.c, which records its calls. Afterwards images are built from the record (disk.py), opened,
and compared with the ledger as of their moment.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
from aiohttp import ClientSession

from postroom.app.config import Config
from postroom.app.main import prepare
from postroom.storage.connections import connect_plain, uri_of
from postroom.storage.faults import DatabaseError, EngineError
from postroom.storage.keyring import Keyring
from postroom.storage.migrations import latest
from postroom.storage.sqlite import sqlite3
from postroom.storage.user_documents import document
from tests.load.ledger import Version
from tests.load.load import Load
from tests.load.users import shape
from tests.support.service import ADMIN_PASSWORD
from tests.support.slapd import Slapd
from tests.torture.disk import Disk, Image, Start, present, records
from tests.torture.process import POSTROOM, Process
from tests.torture.shim import Shim
from tests.torture.sound import complaints

_NAME: Final = "store.sqlite3"
_OLD: Final = Path(__file__).parents[1] / "data" / "schema_0001.sql"
#: One of so many images is also read over HTTP, as a whole.
_SERVED: Final = 100

Check = Callable[[Path, int], list[str]]


@dataclass
class Images:
    """What was looked at: scenario -> number of images; and everything that must not be."""

    checked: dict[str, int] = field(default_factory=dict)
    #: Images of a load that were served and compared over HTTP.
    served: int = 0
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)


def run(number: int, seconds: float, seed: int, say: Callable[[str], None], *, lie: bool = False) -> Images:
    """About so many images of a load of some seconds, and a share of each other scenario. `lie`: syncs do nothing."""
    found = Images()
    with TemporaryDirectory(prefix="torture-", dir=_room()) as place:
        root = Path(place)
        _of_a_load(root, number, seconds, seed, found, lie=lie)
        say(f"images of a load: {found.checked['load']}")
        if not lie:
            for name, scenario in _SCENARIOS.items():
                scenario(root, name, max(20, number // 5), seed, found)
                say(f"images of {name}: {found.checked[name]}")
    return found


def _room() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of its own is made there


def _of_a_load(root: Path, number: int, seconds: float, seed: int, found: Images, *, lie: bool) -> None:
    folder = root / "load"
    folder.mkdir()
    start = present(folder)
    with Slapd() as slapd, Shim(folder, record=True) as shim:
        process = Process(folder, str(folder / _NAME), environ=shim.environ)
        with process:
            if lie:
                shim.lie()
            load = asyncio.run(_load(process, shim, slapd, seconds, seed))
    found.acknowledged = sum(load.ledger.acknowledged.values())
    found.faults += load.ledger.lies
    after = min(version.begun for entry in load.ledger.entries for version in entry.versions if version.begun > 0)

    def check(image: Path, at: int) -> list[str]:
        lines = [f"{line}" for line in complaints(str(image), str(image.with_name("keys")))] + _compare(image, load, at)
        if not lines and found.checked["load"] % _SERVED == 0:
            found.served += 1
            lines = asyncio.run(_serve(image, load, at))
        return lines

    _check(root, shim, start, "load", number, seed, found, check, after=int(after))


async def _load(process: Process, shim: Shim, slapd: Slapd, seconds: float, seed: int) -> Load:
    async with ClientSession() as session:
        load = Load(session, [process.url], seed, slapd, now=lambda: shim.position)
        await load.prepare(ADMIN_PASSWORD)
        running = asyncio.create_task(load.run())
        await asyncio.sleep(seconds)
        load.stop()
        await running
        return load


def _check(
    root: Path,
    shim: Shim,
    start: Start,
    scenario: str,
    number: int,
    seed: int,
    found: Images,
    check: Check,
    after: int = 0,
) -> None:
    """Builds images at moments all over the record, and checks each."""
    found.checked[scenario] = 0
    random = Random(f"{scenario}{seed}")  # noqa: S311 - the same at each run
    disk, everything = Disk(start), list(records(shim.log))
    share = number / 5 / max(1, sum(record.end > after for record in everything))
    for record in everything:
        disk.do(record)
        if record.end <= after or random.random() > share:
            continue
        for how, image in disk.images(random):
            with _written(root / "image", shim.folder, image):
                found.checked[scenario] += 1
                try:
                    wrong = check(root / "image" / _NAME, record.end)
                except (EngineError, DatabaseError) as error:
                    wrong = [str(error)]
                found.faults += [f"{scenario}, at {record.end}, {how}: {line}" for line in wrong]
            if disk.is_settled:
                break


@contextmanager
def _written(target: Path, folder: Path, image: Image) -> Iterator[None]:
    for path, content in image.items():
        file = target / Path(path).relative_to(folder)
        if not file.name.endswith("-shm"):  # the memory of processes that are gone
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_bytes(content)
    target.mkdir(exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(target)


def _compare(path: Path, load: Load, at: int) -> list[str]:
    """What differs from the ledger: users, domains, organisations and roles, as SQLite reads them."""
    with closing(connect_plain(uri_of(str(path)), Keyring(None))) as connection:
        users = {each["ID"]: each for each in map(orjson.loads, _column(connection, _USERS))}
        names = {kind: set(_column(connection, sql)) for kind, sql in _NAMES.items()}
    wrong = []
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


def _column(connection: Any, sql: str) -> list[Any]:
    return [value for (value,) in connection.execute(sql)]


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
                await load.check(process.url)
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


def _recorded(root: Path, name: str, prepare: Callable[[Path], None], *command: str) -> tuple[Shim, Start]:
    """Runs a command of postroom on what has been prepared, and records that."""
    folder = root / name.replace(" ", "-")
    folder.mkdir()
    prepare(folder)
    start = present(folder)
    shim = Shim(folder, record=True)
    environ = {"PATH": os.environ["PATH"], "POSTROOM_DATABASE": str(folder / _NAME), **shim.environ}
    environ["POSTROOM_ADMIN_PASSWORD"] = ADMIN_PASSWORD
    with subprocess.Popen(
        [POSTROOM, *command], env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"Database:"):
                time.sleep(0.2)
                process.kill()
    return shim, start


def _first_start(root: Path, name: str, number: int, seed: int, found: Images) -> None:
    """A start that makes a new database: whatever it leaves, the next start succeeds."""
    shim, start = _recorded(root, name, lambda _folder: None, "serve", "--port", "0", "--host", "127.0.0.1")
    _check(root, shim, start, name, number, seed, found, lambda image, _at: _opened(image))


def _migration(root: Path, name: str, number: int, seed: int, found: Images) -> None:
    """A start that brings an old database up to date: all of it is there, and once it is new, so is the copy."""

    def prepare(folder: Path) -> None:
        with closing(sqlite3.connect(folder / _NAME)) as connection:
            connection.executescript(_OLD.read_text("utf-8"))

    def check(image: Path, _at: int) -> list[str]:
        with closing(sqlite3.connect(image)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        copies = [each for each in image.parent.iterdir() if ".schema-" in each.name]
        wrong = [] if version != latest() or any(map(_is_old, copies)) else ["it is new, and there is no whole copy"]
        return wrong + _opened(image, users=expected)

    expected = _users_of_old()
    shim, start = _recorded(root, name, prepare, "serve", "--port", "0", "--host", "127.0.0.1")
    _check(root, shim, start, name, number, seed, found, check)


def _is_old(path: Path) -> bool:
    with suppress(EngineError), closing(sqlite3.connect(path)) as connection:
        whole = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return whole and connection.execute("PRAGMA user_version").fetchone() == (1,)
    return False


def _users_of_old() -> set[int]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_OLD.read_text("utf-8"))
        return set(_column(connection, "SELECT id FROM users"))


def _rotation(root: Path, name: str, number: int, seed: int, found: Images) -> None:
    """A new key for all secrets: each image has a key that fits."""

    def prepare(folder: Path) -> None:
        with closing(sqlite3.connect(folder / _NAME)) as connection:
            connection.executescript(_OLD.read_text("utf-8"))
        _opened(folder / _NAME)

    shim, start = _recorded(root, name, prepare, "key", "rotate", "--tokens")
    _check(root, shim, start, name, number, seed, found, lambda image, _at: _opened(image))


_SCENARIOS: Final = {"a first start": _first_start, "a migration": _migration, "a key rotation": _rotation}


def _opened(path: Path, users: set[int] | None = None) -> list[str]:
    """What is wrong with a database after a start of the service."""
    try:
        asyncio.run(prepare(Config(database=str(path), admin_password=ADMIN_PASSWORD)))
    except DatabaseError as error:
        return [str(error)]
    with closing(sqlite3.connect(path)) as connection:
        stored = set(_column(connection, "SELECT id FROM users"))
    return complaints(str(path), None) + ([] if users is None or stored >= users else [f"the users are {stored}"])
