"""A bounded part of the torture: nothing acknowledged is lost, and the service recovers by itself.

`make torture` does all of it.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest

from postroom.storage.keyring import Keyring
from postroom.storage.postgresql.checks import opened
from postroom.storage.postgresql.migrating import make_elsewhere
from tests.load.ledger import Ledger
from tests.load.record import Rows, changed
from tests.support.postgresql import PostgreSQL, schema
from tests.torture import faults, kills, power
from tests.torture.disk import Disk, Kind, Record
from tests.torture.faults import ALONE, ON_POSTGRESQL, WITH_WORKERS, Extent

#: Another one at each run; what fails says which it was.
SEED = SystemRandom().randrange(1_000_000)


@pytest.mark.torture
@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_kills_under_load(engine: str) -> None:
    """Whoever is killed, every acknowledged write is there, nothing is half there, and the store is sound."""
    found = kills.run(engine, 15, SEED, print)
    assert found.faults == [], SEED
    assert found.figures["kills"] >= 15
    assert found.figures["acknowledged writes"] > 100


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_power_losses() -> None:
    """Every disk that a power loss may leave has all acknowledged writes, the key, and the copy before a migration."""
    logging.getLogger("postroom").setLevel(logging.ERROR)
    found = power.run(100, 1.0, SEED, print)
    assert found.faults == [], SEED
    assert found.acknowledged > 20


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_power_losses_are_noticed() -> None:
    """Where a sync does nothing, acknowledged writes are found to be lost."""
    assert power.run(20, 0.5, SEED, print, lie=True).faults


@pytest.mark.torture
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*ALONE, *WITH_WORKERS, ON_POSTGRESQL])
def test_faults_under_load(name: str) -> None:
    """The service recovers without a restart, loses nothing, says of no write that it is stored when it is not."""
    (outcome,) = asyncio.run(faults.run(Extent(1, 2.0), SEED, name, print))
    assert outcome.faults == [], SEED
    assert outcome.injected == outcome.recovered > 0


@pytest.mark.torture
def test_a_kill_during_an_examination(tmp_path: Path) -> None:
    """PostgreSQL starts again although its log does not know yet that the schema to compare with was rolled back."""
    with PostgreSQL(wal_writer_delay="10000") as server:
        url = server.url(server.make_database(schema()))
        with opened(url, Keyring(str(tmp_path / "keys"))) as connection:
            connection.execute("BEGIN READ WRITE")
            assert make_elsewhere(connection, "examined")
            server.admin.execute("CREATE ROLE somebody")  # the log is written up to here
            connection.execute("ROLLBACK")
            server.kill()
        server.start()


def record(kind: Kind, inode: int = 7, offset: int = 0, first: str = "", second: str = "", data: bytes = b"") -> Record:
    """A call."""
    return Record(kind, inode, offset, first, second, data, 0)


def contents(disk: Disk, look: Callable[[dict[str, bytes]], object]) -> set[object]:
    """What `look` finds in many images."""
    random = Random(1)  # noqa: S311 - the same at each run
    return {look(image) for _ in range(50) for _, image in disk.images(random)}


@pytest.fixture
def disk() -> Disk:
    """A disk with an empty folder."""
    return Disk({Path("/d"): (1, None)})


def test_what_is_synced_is_in_every_image(disk: Disk) -> None:
    """A file is there once its folder is synced, its content once itself is; what came later may be there or not."""
    disk.do(record(Kind.CREATE, first="/d/f"))
    disk.do(record(Kind.PWRITE, data=b"old"))
    assert contents(disk, lambda image: image.get("/d/f")) >= {None, b"", b"old"}
    disk.do(record(Kind.FSYNC))
    assert contents(disk, lambda image: image.get("/d/f")) == {None, b"old"}
    disk.do(record(Kind.FSYNC, inode=1))
    assert disk.is_settled
    disk.do(record(Kind.PWRITE, data=b"new"))
    assert contents(disk, lambda image: image.get("/d/f")) == {b"old", b"new"}


def test_a_write_may_be_torn_between_sectors(disk: Disk) -> None:
    """Of two sectors, one may be new and the other old, but none is half new."""
    disk.do(record(Kind.CREATE, first="/d/f"))
    disk.do(record(Kind.PWRITE, data=b"a" * 1024))
    disk.do(record(Kind.FSYNC))
    disk.do(record(Kind.FSYNC, inode=1))
    disk.do(record(Kind.PWRITE, data=b"b" * 1024))
    halves = contents(disk, lambda image: (image["/d/f"][:512], image["/d/f"][512:]))
    assert halves == {(one * 512, other * 512) for one in (b"a", b"b") for other in (b"a", b"b")}


def test_a_name_changes_as_a_whole(disk: Disk) -> None:
    """A rename is there or not; what it replaces is not gone before."""
    for inode, name, data in ((7, "/d/f", b"old"), (8, "/d/new", b"new")):
        disk.do(record(Kind.CREATE, inode, first=name))
        disk.do(record(Kind.PWRITE, inode, data=data))
        disk.do(record(Kind.FSYNC, inode))
    disk.do(record(Kind.FSYNC, inode=1))
    disk.do(record(Kind.RENAME, first="/d/new", second="/d/f"))
    assert contents(disk, lambda image: tuple(sorted(image.items()))) == {
        (("/d/f", b"new"),),
        (("/d/f", b"old"), ("/d/new", b"new")),
    }


# --- the record of changes ---


async def test_a_row_that_is_missing() -> None:
    """Each object that an acknowledged write has changed needs a row of that request, also when the clock goes back."""
    ledger, changes = Ledger(), Rows()
    rows: list[dict[str, Any]] = [{"ID": 20, "requestID": "one", "objectID": 7}]
    jane, john = ledger.entry("jane@example.org", {"name": "a"}), ledger.entry("org:one", {"name": "a"})
    jane.object_id = 7
    assert changed([(jane, {"name": "a"}), (john, {"name": "b"})]) == [john]

    async def get(path: str) -> dict[str, Any]:
        after = int(path.rpartition("=")[2])
        return {"data": [row for row in rows if row["ID"] > after]}

    changes.expect("change", "one", [jane, john], 1)
    assert await changes.check(get, whole=False) == []
    changes.expect("change", "two", [jane], 2)
    assert await changes.check(get, whole=True, until=1) == []
    said = ["change of jane@example.org (request two) is not in the record"]
    assert await changes.check(get, whole=True) == said == changes.missing([("one", 7)], 2)
    changes.expect("change", "three", [jane], 3)
    rows.append({"ID": 10, "requestID": "three", "objectID": 7})
    assert await changes.check(get, whole=False) == []
    changes.expect("change", "four", [jane], 4)
    rows.append({"ID": 30, "requestID": "four", "objectID": 8})
    assert len(await changes.check(get, whole=False)) == 1
