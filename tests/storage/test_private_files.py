"""Small files and folders beside a database, in a folder that another user may change as well."""

import os
from pathlib import Path

import pytest

from postroom.storage.backups import work
from postroom.storage.backups.work import work_folder
from postroom.storage.files import give_to_owner_of, write_private


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_link_in_the_place_of_what_was_made(tmp_path: Path) -> None:
    """Gets an owner itself; the file that it names does not."""
    (tmp_path / "store").mkdir()
    os.chown(tmp_path / "store", 65534, 65533)
    (tmp_path / "another").touch(0o600)
    (tmp_path / "store" / "made").symlink_to(tmp_path / "another")
    give_to_owner_of(tmp_path / "store", tmp_path / "store" / "made")
    assert (tmp_path / "another").stat().st_uid == 0
    assert (tmp_path / "store" / "made").lstat().st_uid == 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_for_a_group(tmp_path: Path) -> None:
    """Has its owner and mode before it has its name."""
    write_private(tmp_path / "made", b"x", owner_of=tmp_path, replace=False, readers=65533)
    found = (tmp_path / "made").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 65533, 0o640)


def test_a_folder_that_is_swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is emptied is the folder that was locked, and not the one that a link names by now."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "left").mkdir()
    (tmp_path / "work" / "left" / "behind").touch()
    (tmp_path / "work" / "link").symlink_to(tmp_path / "precious")
    lock = work._lock

    def swap(path: Path, descriptor: int, busy: str) -> None:
        lock(path, descriptor, busy)
        path.rename(tmp_path / "moved")
        path.symlink_to(tmp_path / "precious")

    monkeypatch.setattr(work, "_lock", swap)
    with work_folder(tmp_path / "work", "busy"):
        assert not [*(tmp_path / "moved").iterdir()]
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["file"]
