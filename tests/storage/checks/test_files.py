"""Every check of the files of a database finds its fault, and nothing when they are as postroom makes them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from postroom.storage.checks.files import CHECKS, Files
from postroom.storage.checks.findings import Finding, State
from postroom.storage.checks.repairs import examined
from tests.support.both_engines import make_sqlite

pytestmark = pytest.mark.sqlite

NAME = "postroom.sqlite3"


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A folder with a database that postroom has made."""
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    await make_sqlite(folder / NAME)
    return folder


def files_of(folder: Path, filesystem: str = "ext4") -> Files:
    """The files there, on a file system of this type."""
    here = str(folder)
    return Files(str(folder / NAME), str(folder / f"{NAME}.key"), lambda: [("/", "ext4"), (here, filesystem)])


def found(files: Files, *, repair: bool = False) -> dict[str, Finding]:
    """What is not as it should be: name of the check -> finding."""
    return {each.name: each for each in examined(CHECKS, files, repair=repair) if each.state is not State.OK}


def open_to_all(folder: Path) -> None:
    """Lets everybody read the database, its log and its key."""
    (folder / f"{NAME}-wal").touch()
    for name in (NAME, f"{NAME}-wal", f"{NAME}.key"):
        (folder / name).chmod(0o644)


FAULTS: dict[str, Callable[[Path], object]] = {
    "modes": open_to_all,
    "folders": lambda folder: folder.chmod(0o777),
    "plain copies": lambda folder: (folder / f"{NAME}.schema-3.backup").touch(0o600),
    "unfinished files": lambda folder: (folder / f"{NAME}.backup.part").touch(0o600),
}
#: They have tests of their own below.
OTHERWISE = {"owners", "file system", "memory"}


def test_nothing_is_wrong_with_new_files(folder: Path) -> None:
    """What postroom makes passes its own checks."""
    assert found(files_of(folder)) == {}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(name: str, folder: Path) -> None:
    """Each check finds its fault, and no other does."""
    FAULTS[name](folder)
    assert set(found(files_of(folder))) == {name}


def test_each_check_has_a_fault() -> None:
    """No check without a test that it finds something."""
    assert {check.name for check in CHECKS} == FAULTS.keys() | OTHERWISE


def test_rights_are_taken_away(folder: Path) -> None:
    """A repair leaves the rights of the owner as they are."""
    open_to_all(folder)
    assert found(files_of(folder), repair=True) == {}
    assert {(folder / name).stat().st_mode & 0o777 for name in (NAME, f"{NAME}-wal", f"{NAME}.key")} == {0o600}


def test_a_repair_follows_no_link(folder: Path) -> None:
    """Whoever may write beside the database could name any file of root, who repairs."""
    (folder / "another").touch(0o644)
    (folder / f"{NAME}.schema-1.backup").symlink_to("another")
    assert "modes" in found(files_of(folder), repair=True)
    assert (folder / "another").stat().st_mode & 0o777 == 0o644


def test_files_of_somebody_else(folder: Path) -> None:
    """A log that root has made would lock the service out."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    (folder / f"{NAME}-wal").touch(0o600)
    os.chown(folder / f"{NAME}-wal", 12345, -1)
    assert set(found(files_of(folder))) == {"owners"}


@pytest.mark.parametrize(
    ("filesystem", "name"), [("nfs4", "file system"), ("cifs", "file system"), ("tmpfs", "memory")]
)
def test_file_systems(filesystem: str, name: str, folder: Path) -> None:
    """SQLite's log needs a local file system; one in memory may be meant."""
    assert set(found(files_of(folder, filesystem))) == {name}


def test_a_sticky_folder(folder: Path) -> None:
    """In /tmp, others cannot replace what is not theirs."""
    folder.chmod(0o1777)
    assert found(files_of(folder)) == {}


async def test_a_link(folder: Path, tmp_path: Path) -> None:
    """The files beside the real database count, not those beside a link to it."""
    (tmp_path / "link").symlink_to(folder / NAME)
    open_to_all(folder)
    files = Files(str(tmp_path / "link"), str(folder / f"{NAME}.key"), lambda: [("/", "ext4")])
    assert found(files)["modes"].count == 3


def test_a_database_on_a_server(tmp_path: Path) -> None:
    """Of a PostgreSQL database only the key file is here."""
    keys = tmp_path / "keys"
    keys.touch(0o644)
    files = Files("postgresql://user@host/name", str(keys), list)
    assert {name: each.examples for name, each in found(files).items()} == {"modes": (f"{keys} (mode 0644)",)}


def test_what_cannot_be_looked_at(folder: Path) -> None:
    """A list that the system does not give is a warning, not a fault."""

    def fail() -> list[tuple[str, str]]:
        raise PermissionError(13, "Permission denied")

    files = Files(str(folder / NAME), str(folder / f"{NAME}.key"), fail)
    assert {each.state for each in found(files).values()} == {State.WARNING}
    assert "Not examined" in found(files)["memory"].message
