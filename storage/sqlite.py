"""The SQLite that postroom runs on: imported here and nowhere else, since the exceptions of two copies differ.

SQLite 3.7.0 to 3.51.2 can corrupt a database in WAL mode when two connections write or checkpoint at the same moment
(https://sqlite.org/wal.html, "WAL-reset bug"; 3.44.6 and 3.50.7 have the fix as well). The package pysqlite3 carries a
current SQLite; where there is no wheel of it, the SQLite of the system is used.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        from pysqlite3 import dbapi2 as sqlite3
    except ImportError:
        import sqlite3

__all__ = ["BESIDE", "VERSION", "deletes_contentless", "has_wal_reset_bug", "sqlite3"]

#: The version of the library, such as "3.53.4".
VERSION: str = sqlite3.sqlite_version
#: What the names of the files have more that SQLite has beside a database.
BESIDE: Final = ("-wal", "-shm", "-journal")


def deletes_contentless() -> bool:
    """Whether FTS5 can delete from an index that keeps no texts (https://sqlite.org/fts5.html, 4.4.3)."""
    return sqlite3.sqlite_version_info >= (3, 43, 0)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def has_wal_reset_bug(version: str = VERSION) -> bool:
    """Whether two connections may corrupt a database with this version of SQLite."""
    numbers = _numbers(version)
    if numbers[:2] in ((3, 44), (3, 50)):
        return numbers < ((3, 44, 6) if numbers[1] == 44 else (3, 50, 7))
    return (3, 7, 0) <= numbers < (3, 51, 3)
