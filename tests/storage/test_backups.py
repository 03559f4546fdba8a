"""Taking backups of SQLite files: tests/storage/test_restoring.py has the way back."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from postroom.storage.backups import copying, folder, rotation, taking
from postroom.storage.backups.manifest import BackupError, DamagedBackupError, Manifest, moment, read_manifest
from postroom.storage.backups.verifying import verify
from postroom.storage.claim import Claim
from postroom.storage.faults import DatabaseError, NoDatabaseError
from postroom.storage.migrations import latest
from postroom.storage.sqlite import BESIDE, VERSION
from tests.support.backups import back_up, content, names, quiet, rewrite, verified
from tests.support.both_engines import make_sqlite, open_sqlite
from tests.support.damage import limited_files
from tests.support.waiting import until


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A database with rows in every table that the first version had."""
    path = tmp_path / "postroom.sqlite3"
    await make_sqlite(path, filled=True)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


def enlarge(database: Path, rows: int = 20_000) -> None:
    """Makes it a file of so many KiB."""
    with open_sqlite(database) as connection:
        connection.execute("BEGIN")
        values = ((f"big {number}", "x" * 1000) for number in range(rows))
        connection.executemany("INSERT INTO settings VALUES (?, ?)", values)
        connection.execute("COMMIT")


def test_everything_is_in_it(database: Path, target: Path) -> None:
    """A backup has every row, in one private file that any program can read, and its manifest says what it is."""
    taken = back_up(database, target)
    assert content(taken.path) == content(database)
    assert re.fullmatch(r"postroom-\d{8}T\d{6}Z\.sqlite3", taken.path.name)
    assert names(target) == [taken.path.name, f"{taken.path.name}.json"]
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}
    # Not in WAL mode, which needs to write beside the file.
    assert taken.path.read_bytes()[18:20] == b"\x01\x01"
    manifest = read_manifest(taken.path)
    assert manifest == taken.manifest
    assert (manifest.postroom, manifest.schema, manifest.engine) == (version("postroom"), latest(), f"SQLite {VERSION}")
    assert (manifest.database, manifest.users, manifest.size) == (str(database), 7, taken.path.stat().st_size)
    assert manifest.sha256 == copying.checksum(taken.path, quiet)[1]
    assert datetime.now(UTC) - manifest.when < timedelta(minutes=1)
    assert verified(taken.path) == manifest


def test_as_of_one_moment(database: Path, target: Path) -> None:
    """What others commit meanwhile waits for nobody, is not in it, and does not make the copy begin anew."""
    enlarge(database)
    before, copied = content(database)["settings"], list[int]()
    with open_sqlite(database) as connection:

        def report(what: str, done: int, _total: int) -> None:
            if what == "copying":
                copied.append(done)
                connection.execute("INSERT INTO settings VALUES (?, 'meanwhile')", (f"meanwhile {len(copied)}",))
                connection.execute("UPDATE settings SET value = 'changed' WHERE name = 'big 19999'")

        taken = taking.take(taking.Order(str(database), target), report)
    assert copied == sorted(set(copied))
    assert len(copied) > 10
    assert content(taken.path)["settings"] == before
    assert len(content(database)["settings"]) == len(before) + len(copied)


def test_what_is_not_committed_is_not_in_it(database: Path, target: Path) -> None:
    """A transaction of somebody else is not waited for."""
    with open_sqlite(database) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM users")
        taken = back_up(database, target)
        connection.execute("ROLLBACK")
    assert taken.manifest.users == 7


def test_a_file(database: Path, target: Path) -> None:
    """The target may be a file, which must not exist, not even as a link that leads nowhere."""
    file = target / "mine"
    assert back_up(database, file).path == file
    before = file.read_bytes()
    with pytest.raises(BackupError, match="replaces nothing"):
        back_up(database, file)
    assert file.read_bytes() == before
    link = target / "link"
    link.symlink_to(target / "elsewhere")
    with pytest.raises(BackupError, match="replaces nothing"):
        back_up(database, link)
    (target / "other.json").write_text("{}")
    with pytest.raises(BackupError, match="is damaged, or is not the manifest"):
        back_up(database, target / "other")
    assert (target / "other.json").read_text() == "{}"
    assert names(target) == ["link", "mine", "mine.json", "other.json"]


def test_links(database: Path, target: Path) -> None:
    """Links to the database and to the folder are followed; a link in the folder is no backup."""
    linked, folder_link = database.with_name("link.sqlite3"), target.with_name("link")
    linked.symlink_to(database)
    folder_link.symlink_to(target)
    taken = back_up(linked, folder_link)
    assert taken.manifest.database == str(database)
    (target / "postroom-20200101T000000Z.sqlite3").symlink_to(taken.path)
    assert [found.path.name for found in folder.list_backups(target)] == [taken.path.name]


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda path: None, NoDatabaseError, "There is no database"),
        (lambda path: path.touch(), BackupError, "there is nothing in it"),
        (lambda path: path.write_bytes(b"no database at all" * 100), DatabaseError, "not a database"),
        (lambda path: open_and(path, "CREATE TABLE x (y)"), BackupError, "a database of something else"),
        (lambda path: open_and(path, "PRAGMA user_version = 9999"), BackupError, "a newer version of postroom"),
    ],
)
def test_what_is_no_database(tmp_path: Path, target: Path, make: object, error: type[Exception], said: str) -> None:
    """Nothing is made of it."""
    path = tmp_path / "strange.sqlite3"
    make(path)  # type: ignore[operator]
    with pytest.raises(error, match=said):
        back_up(path, target)
    assert names(target) == []


def open_and(path: Path, sql: str) -> None:
    """Does something in a database."""
    with open_sqlite(path) as connection:
        connection.execute(sql)


def test_places_that_are_none(database: Path, target: Path) -> None:
    """A missing folder is not made: it may be on a disk that is not there. A database in memory has no backup."""
    with pytest.raises(BackupError, match="There is no folder"):
        back_up(database, target / "deeper" / "backup.sqlite3")
    with pytest.raises(BackupError, match="in memory"):
        back_up(":memory:", target)
    for each in BESIDE:
        # There is a log or none; it is not to be replaced, and none is to be made.
        with pytest.raises(BackupError, match=r"SQLite uses beside the database|replaces nothing"):
            back_up(database, database.with_name(f"{database.name}{each}"))
    with pytest.raises(DatabaseError, match=r"The backup to /proc failed"):
        back_up(database, Path("/proc"))
    assert names(target) == []


def test_two_at_once(database: Path, target: Path) -> None:
    """The second one is refused, and the first one is completed."""
    refused = []

    def report(_what: str, _done: int, _total: int) -> None:
        with pytest.raises(DatabaseError, match="Another backup is being written"):
            back_up(database, target)
        refused.append(1)

    taken = taking.take(taking.Order(str(database), target), report)
    assert refused
    assert names(target) == [taken.path.name, f"{taken.path.name}.json"]


def test_interrupted(database: Path, target: Path) -> None:
    """Wherever it is interrupted, nothing is left."""
    enlarge(database, 3000)
    steps = []
    taking.take(taking.Order(str(database), target / "whole"), lambda *step: steps.append(step))
    assert {what for what, _, _ in steps} == {"copying", "checksum"}
    for at in range(len(steps)):
        left = iter(range(at))

        def report(_what: str, _done: int, _total: int, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            taking.take(taking.Order(str(database), target), report)
        assert names(target) == ["whole", "whole.json"]


_TAKES = """
import os, signal, sys
from pathlib import Path
from postroom.storage.backups import folder, manifest, taking

def die(*_): os.kill(os.getpid(), signal.SIGKILL)

name, step = sys.argv[3].split()
if name == "report":
    def report(what, done, total):
        if what == step: die()
else:
    report = lambda *_: None
    real = getattr(taking.os, name)
    taking.os.link = die if step == "before" else lambda *names: (real(*names), die())
taking.take(taking.Order(sys.argv[1], Path(sys.argv[2]), with_key=True), report)
"""


@pytest.mark.parametrize(
    ("step", "complete"),
    [("report copying", False), ("report checksum", False), ("link before", False), ("link after", True)],
)
def test_killed(database: Path, target: Path, step: str, complete: bool) -> None:
    """Wherever it is killed, there is a whole backup or nothing that looks like one; the next one clears up."""
    killed = subprocess.run([sys.executable, "-c", _TAKES, database, target, step], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    found = folder.list_backups(target)
    assert [each.fault for each in found] == [""] * complete
    for each in found:
        verified(each.path)
    assert (target / "postroom.backup.part").stat().st_mode & 0o777 == 0o700
    whole = {each.path.name for each in found}
    whole.add(back_up(database, target).path.name)
    assert {path.name.partition(".sqlite3")[0] + ".sqlite3" for path in target.iterdir()} == whole


async def test_killed_by_others(database: Path, target: Path) -> None:
    """A real command that is killed at some moment leaves a lock that nobody holds, and no backup."""
    enlarge(database, 100_000)
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("postroom"), "backup", target, "--database", database,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    copy = target / "postroom.backup.part" / "copy"
    await until(lambda: copy.exists() and copy.stat().st_size > 0)
    process.kill()
    await process.wait()
    assert names(target) == ["postroom.backup.part"]
    assert folder.list_backups(target) == []
    taken = back_up(database, target)
    assert names(target) == [taken.path.name, f"{taken.path.name}.json"]


def test_a_full_disk(database: Path, target: Path) -> None:
    """Nothing half is left, and the message says what is wrong."""
    enlarge(database, 3000)
    with limited_files(1_000_000), pytest.raises(DatabaseError, match=r"The backup to .* failed: "):
        back_up(database, target)
    assert names(target) == []


def test_no_room(database: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has too little room is not filled first: the database may be on it."""
    size = database.stat().st_size
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=size - 1))
    with pytest.raises(
        DatabaseError, match=f"There is no room in .*: {size:,} bytes are needed, {size - 1:,} are free"
    ):
        back_up(database, target)
    assert names(target) == []


def test_the_key(database: Path, target: Path) -> None:
    """The keys are copied only if that is wanted; with keys of something else nothing is made."""
    taken = back_up(database, target / "with", with_key=True)
    assert (target / "with.key").read_bytes() == database.with_name("postroom.sqlite3.key").read_bytes()
    assert (target / "with.key").stat().st_mode & 0o777 == 0o600
    assert taken.manifest.key_id is not None
    database.with_name("postroom.sqlite3.key").rename(target / "lost")
    with pytest.raises(BackupError, match="is missing"):
        back_up(database, target, with_key=True)
    # The secrets are in the backup as they are; nobody needs the key for that.
    back_up(database, target / "without")
    assert names(target) == ["lost", "with", "with.json", "with.key", "without", "without.json"]


def test_the_claim(database: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an SQLite that two processes can harm, a command is refused beside a service, which has a way of its own."""
    monkeypatch.setattr("postroom.storage.sqlite.has_wal_reset_bug", lambda _version: True)
    claim = Claim(str(database), in_memory=False)
    with pytest.raises(DatabaseError, match="Another process uses the database"):
        back_up(database, target)
    back_up(database, target, claimed=True)
    claim.release()


def test_two_in_a_second(database: Path, target: Path) -> None:
    """Each has a name of its own."""
    assert len({back_up(database, target).path for _ in range(3)}) == 3


def test_names() -> None:
    """A backup is named by its database; a URL shows no password."""
    url = "postgresql://post:secret@db.example.org/mail%20room?sslmode=require"
    assert folder.stem_of(url) == "mail_20room"
    assert folder.name_of(url) == "postgresql://post@db.example.org/mail%20room"
    assert folder.stem_of("/srv/a b/mail.sqlite3") == "mail"
    assert folder.stem_of("..sqlite3") == "."
    assert folder.stem_of("postgresql://localhost") == "postroom"


@pytest.mark.parametrize(
    "changes",
    [{"size": "7"}, {"size": True}, {"users": None}, {"time": "yesterday"}, {"sha256": 7}, {"form": 2}, {"key_id": 7}],
)
def test_manifests_that_are_none(database: Path, target: Path, changes: dict[str, object]) -> None:
    """A backup with such a manifest is listed as damaged, and cannot be verified."""
    taken = back_up(database, target)
    rewrite(taken.path, changes)
    (found,) = folder.list_backups(target)
    assert "is not the manifest of a backup" in found.fault
    with pytest.raises(DamagedBackupError):
        verified(taken.path)
    for text in ("", "[", "[]", "null", "[" * 100_000, '"x"' + " " * 100_000):
        taken.path.with_name(f"{taken.path.name}.json").write_text(text)
        assert folder.list_backups(target)[0].fault
    taken.path.with_name(f"{taken.path.name}.json").unlink()
    assert folder.list_backups(target)[0].fault == "its manifest is missing"
    with pytest.raises(BackupError, match="has no manifest"):
        verified(taken.path)


def test_damage_is_found(database: Path, target: Path) -> None:
    """One that is cut off is seen in the list already; a single changed bit is found by looking at all of it."""
    taken = back_up(database, target)
    whole = taken.path.read_bytes()
    for content_, reason, listed in (
        (whole[:-1], "is cut off", True),
        (whole[: len(whole) // 2], "is cut off", True),
        (b"", "is cut off", True),
        (whole + b"x", "was changed", True),
        (whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:], "was changed", False),
    ):
        taken.path.write_bytes(content_)
        assert bool(folder.list_backups(target)[0].fault) == listed
        with pytest.raises(DamagedBackupError, match=reason):
            verified(taken.path)
    assert names(target) == [taken.path.name, f"{taken.path.name}.json"]


def test_damage_from_before(database: Path, target: Path) -> None:
    """A backup of a damaged database has the right checksum, and is found to be damaged all the same."""
    with open_sqlite(database) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE addresses SET user_id = 4711 WHERE user_id = (SELECT min(user_id) FROM addresses)")
    taken = back_up(database, target)
    with pytest.raises(DamagedBackupError, match="addresses"):
        verified(taken.path)


def test_whether_the_secrets_open(database: Path, target: Path) -> None:
    """A backup whose key is elsewhere is as good as any; that its secrets cannot be read with the key here is told."""
    keys = f"{database}.key"
    taken = back_up(database, target / "without")
    assert verify(taken.path, keys, quiet).locked == ""
    assert "missing" in verify(taken.path, "/nonexistent", quiet).locked
    assert verify(back_up(database, target / "with", with_key=True).path, "/nonexistent", quiet).locked == ""


def test_what_only_doctor_finds(database: Path, target: Path) -> None:
    """What the schema does not enforce is looked at as well."""
    with open_sqlite(database) as connection:
        connection.execute("UPDATE domains SET active_users = active_users + 1")
    with pytest.raises(DamagedBackupError, match="is damaged: "):
        verified(back_up(database, target).path)


def _manifest(when: datetime, database: str = "/x.sqlite3") -> Manifest:
    return Manifest("1", 1, "SQLite", database, moment(when), 1, None, 1, "0")


def _backups(*times: datetime, fault: str = "") -> list[folder.Backup]:
    return [folder.Backup(Path(when.isoformat()), _manifest(when), fault) for when in times]


def test_rotation() -> None:
    """The newest of each day, week and month is kept; the newest of all always; a pause removes nothing."""
    start = datetime(2026, 1, 1, 3, tzinfo=UTC)
    days = [start + timedelta(days=number) for number in range(400)]
    wanted = rotation.kept(days, {"d": 7, "w": 4, "m": 12})
    assert set(days[-7:]) <= wanted
    weeks = [day for day in days if day.isoweekday() == 7 or day == days[-1]][-4:]
    assert set(weeks) <= wanted
    months = [day for day, after in zip(days, [*days[1:], start], strict=True) if day.month != after.month][-12:]
    assert set(months) <= wanted
    assert len(wanted) == len({*days[-7:], *weeks, *months})
    assert rotation.kept(days, {"d": 1}) == {days[-1]}
    hours = [start + timedelta(hours=number) for number in range(48)]
    assert rotation.kept(hours, {"d": 7}) == {hours[20], hours[44], hours[47]}
    long_ago = [start - timedelta(days=1000), start]
    assert rotation.kept(long_ago, {"d": 7}) == set(long_ago)
    assert rotation.kept([], {"d": 7}) == set()


def test_rotation_and_damage() -> None:
    """A damaged backup takes no other's place, and goes only when it is older than all that are kept."""
    day = datetime(2026, 1, 10, 3, tzinfo=UTC)
    good, later = _backups(day), _backups(day + timedelta(hours=5), fault="cut off")
    old = _backups(day - timedelta(days=3), fault="cut off")
    assert rotation.surplus([*old, *good, *later], {"d": 1}) == old
    assert rotation.surplus([*old, *later], {"d": 1}) == []


def test_rotation_leaves_others_alone(database: Path, target: Path) -> None:
    """Only backups of this database are removed, with what belongs to them; nothing that a person has put there."""
    when = datetime.now(UTC)
    old = [target / f"postroom-2020010{number}T000000Z.sqlite3" for number in range(1, 6)]
    for number, path in enumerate(old):
        path.write_bytes(b"x")
        _manifest(when - timedelta(days=9 + number), str(database)).write(path)
    path = target / "postroom-20200101T000000Z.sqlite3"
    _manifest(when - timedelta(days=20), "/another/postroom.sqlite3").write(old[1])
    old[2].rename(target / "by-hand.sqlite3")
    (target / f"{old[3].name}.json").unlink()
    (target / f"{old[0].name}.key").touch()
    copied = target / "before-the-import-20200101T000000Z.sqlite3"
    copied.write_bytes(b"x")
    _manifest(when - timedelta(days=30), str(database)).write(copied)
    taken = back_up(database, target)
    removed = rotation.rotate(target, str(database), {"d": 1})
    assert removed == [old[4], old[0]] or removed == [old[0], old[4]]
    left = {taken.path.name, f"{taken.path.name}.json", "by-hand.sqlite3", old[1].name, f"{old[1].name}.json"}
    left |= {copied.name, f"{copied.name}.json"}
    assert set(names(target)) - {f"{old[2].name}.json"} == {*left, old[3].name}
    assert folder.newest(target, str(database)) == taken.manifest
    assert folder.newest(target, "/elsewhere.sqlite3") is None


def test_modesty() -> None:
    """A thread that takes backups lets all others go first."""
    code = "from postroom.storage.backups.copying import be_modest as b; b(); import os; print(os.nice(0))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(shown) >= 10


def test_going_last() -> None:
    """An examination takes what others leave of the processor, and after some time a little more."""
    code = """
import os, time
from postroom.storage.backups.copying import go_last
go_last(0.2)
print(os.sched_getscheduler(0) == os.SCHED_IDLE)
until = time.monotonic() + 60
while os.sched_getscheduler(0) != os.SCHED_OTHER and time.monotonic() < until:
    time.sleep(0.02)
print(os.sched_getscheduler(0) == os.SCHED_OTHER, os.nice(0) >= 10)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["True"] * 3


def test_a_manifest_can_be_read_by_people(database: Path, target: Path) -> None:
    """It is JSON, a field to a line."""
    path = back_up(database, target).path
    text = path.with_name(f"{path.name}.json").read_text()
    assert text.splitlines()[2] == f' "schema": {latest()},'
    assert set(json.loads(text)) >= {"postroom", "schema", "engine", "database", "time", "users", "sha256"}
