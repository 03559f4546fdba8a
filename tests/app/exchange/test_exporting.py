"""The files of an export: for their owner alone, also in a folder in which others may make files."""

import stat
from pathlib import Path

import pytest

from postroom.app.exchange.exporting import new_file, private_file, write_tables
from postroom.app.exchange.records import UnreadableFileError


def test_what_others_have_put_beside_it(tmp_path: Path) -> None:
    """A file or link with a name that can be guessed gets nothing of what is written."""
    theirs, other = tmp_path / "people.ndjson.part", tmp_path / "elsewhere"
    theirs.write_text("theirs")
    theirs.chmod(0o666)
    target = tmp_path / "people.ndjson"
    with new_file(target) as stream:
        stream.write(b"secret")
    assert theirs.read_text() == "theirs"
    assert target.read_bytes() == b"secret"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.unlink()
    target.symlink_to(other)
    with pytest.raises(UnreadableFileError, match="already"), new_file(target):
        pass
    with pytest.raises(FileExistsError):
        private_file(target)
    assert not other.exists()


def test_a_failure_half_way(tmp_path: Path) -> None:
    """Leaves nothing."""

    def fail() -> None:
        with new_file(tmp_path / "people.ndjson") as stream:
            stream.write(b"secret")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert not [*tmp_path.iterdir()]


def test_tables(tmp_path: Path) -> None:
    """Are for their owner alone wherever they are moved, not only inside of their folder."""
    write_tables([("organisation", {"name": "Grün"})], tmp_path)
    (table,) = tmp_path.iterdir()
    assert (table.name, table.read_text("utf-8")) == ("organisations.csv", "name\nGrün\n")
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
