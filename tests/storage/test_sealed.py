"""Secrets at rest: encrypted with a key outside of the database, through upgrades, rotations and crashes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from postroom.storage import auth, files, keyring, sealed
from postroom.storage.connections import connect_writer, uri_of
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.faults import WrongDatabaseError
from postroom.storage.fetchmail import list_fetchmail
from postroom.storage.keyring import Keyring, UnreadableSecretError
from postroom.storage.ldap_configs import find_ldap_config
from postroom.storage.sqlite import sqlite3

pytestmark = pytest.mark.sqlite

DATA = Path(__file__).parents[1] / "data"
TOKEN_KEY = "0123456789abcdef" * 4


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of schema 1 with secrets of every kind, and with what is left of some that were changed."""
    path = tmp_path / "postroom.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        # Not every SQLite erases by itself; here it must not, or there would be nothing to find.
        connection.execute("PRAGMA secure_delete = OFF").fetchall()
        connection.executescript((DATA / "schema_0001.sql").read_text("utf-8"))
        connection.execute("UPDATE fetchmail SET src_password = 'plain-former' || hex(zeroblob(9000))")
        connection.commit()
        connection.execute("UPDATE fetchmail SET src_password = 'plain-fetchmail'")
        connection.execute("UPDATE ldap_configs SET bind_pass = 'plain-bind'")
        connection.commit()
    return path


def files_with(folder: Path, text: bytes) -> list[str]:
    """The files of a folder that hold these bytes."""
    return sorted(path.name for path in folder.iterdir() if text in path.read_bytes())


async def secrets_in(path: Path, **options: Any) -> list[Any]:
    """Every secret, decrypted by a process that has just started."""

    def read(connection: sqlite3.Connection) -> list[Any]:
        users = [row[0] for row in connection.execute("SELECT DISTINCT user_id FROM fetchmail").fetchall()]
        orgs = [row[0] for row in connection.execute("SELECT org_id FROM ldap_configs ORDER BY id").fetchall()]
        rows = [find_ldap_config(connection, org_id) for org_id in orgs]
        mail = [entry.get("srcPassword") for user in users for entry in list_fetchmail(connection, user).values()]
        return [auth.find_token_key(connection), [row.bind_pass for row in rows if row], mail]

    database = await Database.open(str(path), **options)
    try:
        return await database.read(read)
    finally:
        await database.close()


def known(path: Path, **options: Any) -> list[Any]:
    """The same, for tests that look at files."""
    return asyncio.run(secrets_in(path, **options))


def open_once(path: Path, **options: Any) -> None:
    """Opens a database as a service does, and closes it again."""

    async def once() -> None:
        await (await Database.open(str(path), **options)).close()

    asyncio.run(once())


def test_an_old_database_is_taken_over(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Secrets of an older version count as before, and no byte of them is left but in the copy, which is named."""
    former = files_with(old.parent, b"plain-former")
    assert former == [old.name], "nothing to be erased"
    token, binds, mail = known(old)
    assert (token, set(binds), set(mail)) == (TOKEN_KEY, {"plain-bind"}, {"plain-fetchmail"})
    copy = f"{old.name}.schema-1.backup"
    for text in (b"plain-bind", b"plain-fetchmail", TOKEN_KEY.encode(), b"plain-former"):
        assert files_with(old.parent, text) == [copy]
    assert f"{copy} holds secrets in plain text" in caplog.text
    (old.parent / copy).unlink()
    caplog.clear()
    assert known(old, create=False) == [token, binds, mail]
    open_once(old)
    assert "plain text" not in caplog.text
    with contextlib.closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT remnants FROM sealing").fetchone() == (0,)


def test_erasing_is_made_up_for(old: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody reads the old contents they cannot be erased: a warning, and the next start does it."""
    monkeypatch.setattr("postroom.storage.connections.BUSY_TIMEOUT", 0.4)
    pause_before_erasing(old)
    (old.parent / f"{old.name}.schema-1.backup").unlink()
    with contextlib.closing(sqlite3.connect(old, isolation_level=None)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM users").fetchall()
        open_once(old)
        assert "Unused parts of the database may still hold secrets" in caplog.text
    open_once(old)
    assert files_with(old.parent, b"plain-") == []


def pause_before_erasing(path: Path) -> None:
    """Brings a database up to date in a process that is killed after the commit, before the file is written anew."""

    def work() -> None:
        def die(connection: Connection) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        sealed._erase_remnants = die
        connect_writer(uri_of(str(path)), str(path), Keyring(f"{path}.key"), create=True, unlock=True)

    assert forked(work) == -signal.SIGKILL


def forked(work: Callable[[], object]) -> int:
    """The exit code of a process of its own that does something, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - nothing of the tests goes on here
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(line: int) -> None:
    """Ends this process when so many lines of the modules about keys have been run."""
    names = {module.__file__ for module in (sealed, keyring, files)}
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in names:
            return None
        count += event == "line"
        if count == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def test_a_take_over_killed_anywhere(old: Path) -> None:
    """Whenever a process is killed while it takes a database over, the next one ends up with every secret."""
    original = old.read_bytes()

    def run(line: int) -> int:
        for path in old.parent.iterdir():
            path.unlink()
        old.write_bytes(original)

        def work() -> None:
            killed_at(line)
            connect_writer(uri_of(str(old)), str(old), Keyring(f"{old}.key"), create=True, unlock=True)

        return forked(work)

    line, code = 1, -signal.SIGKILL
    while code == -signal.SIGKILL:
        code = run(line)
        token, binds, mail = known(old)
        assert (token, set(binds), set(mail)) == (TOKEN_KEY, {"plain-bind"}, {"plain-fetchmail"}), line
        assert files_with(old.parent, b"plain-f") == [f"{old.name}.schema-1.backup"], line
        assert not list(old.parent.glob("*.part")), line
        line += 23
    assert code == 0
    assert line > 100


@pytest.mark.torture
def test_a_rotation_killed_anywhere(old: Path) -> None:
    """Whenever a rotation is killed, every secret can be read; one that ends leaves one new key in the file."""
    expected = known(old)
    key_file = Path(f"{old}.key")
    before = key_file.read_bytes()

    def work(line: int) -> None:
        connection = connect_writer(uri_of(str(old)), str(old), Keyring(str(key_file)), create=False, unlock=True)
        killed_at(line)
        for step in (lambda: sealed.rotate(connection, tokens=False), lambda: sealed.drop_old_keys(connection)):
            connection.execute("BEGIN IMMEDIATE")
            step()
            connection.execute("COMMIT")

    line, code = 1, -signal.SIGKILL
    while code == -signal.SIGKILL:
        code = forked(partial(work, line))
        assert known(old, create=False) == expected, line
        line += 17
    assert code == 0
    assert line > 100
    assert len(key_file.read_text().splitlines()) == 2
    assert key_file.read_bytes() != before
    assert key_file.stat().st_mode & 0o777 == 0o600
    key_file.write_bytes(before)
    with pytest.raises(WrongDatabaseError, match=r"is not the one for the secrets in .*postroom key reset"):
        known(old)


def test_two_rotations_at_once(old: Path) -> None:
    """Neither takes away the key of the other."""
    expected = known(old)

    async def rotate() -> None:
        database = await Database.open(str(old), create=False)
        try:
            await database.write(lambda connection: sealed.rotate(connection, tokens=False))
            await database.write(sealed.drop_old_keys)
        finally:
            await database.close()

    async def rotate_at_once() -> None:
        await asyncio.gather(rotate(), rotate(), rotate())

    for _ in range(5):
        asyncio.run(rotate_at_once())
        assert known(old, create=False) == expected
        assert len(Path(f"{old}.key").read_text().splitlines()) == 2


def test_a_secret_counts_at_its_place_only(old: Path) -> None:
    """Copied to another row, changed, or cut short, it cannot be decrypted; what is left can still be looked at."""
    known(old)
    with contextlib.closing(sqlite3.connect(old, isolation_level=None)) as connection:
        connection.execute("UPDATE ldap_configs SET bind_pass = (SELECT src_password FROM fetchmail LIMIT 1)")
        connection.execute("UPDATE fetchmail SET src_password = substr(src_password, 1, length(src_password) - 4)")
    token, binds, mail = known(old)
    assert token == TOKEN_KEY
    assert set(binds) == set(mail) == {None}
    with contextlib.closing(sqlite3.connect(old, isolation_level=None)) as connection:
        connection.execute("UPDATE settings SET value = 'sealed:' || value WHERE name = 'token_key'")
    with pytest.raises(UnreadableSecretError):
        known(old)


def execute(connection: sqlite3.Connection, sql: str) -> None:
    """Runs one statement."""
    connection.execute(sql)


async def test_the_schema_refuses_plain_text(file_database: Database) -> None:
    """Whatever stores a secret in plain text is stopped by the database; every column with such a name is listed."""
    insert = {
        "settings": "INSERT INTO settings (name, value) VALUES ('token_key', 'plain')",
        "ldap_configs": "INSERT INTO ldap_configs (document, bind_pass) VALUES ('{}', 'plain')",
        "fetchmail": "UPDATE fetchmail SET src_password = 'plain'",
    }
    assert set(insert) == {column[0] for column in sealed.COLUMNS}
    entry = "INSERT INTO fetchmail SELECT 1, 0, '', 1, '', '', '', {}, '', 1, 1, '', 1, 1, '', '', '', ''"
    await file_database.write(lambda c: c.execute("INSERT INTO users (id, username) VALUES (0, 'admin')").close())
    await file_database.write(lambda c: c.execute(entry.format("''")).close())
    for sql in (*insert.values(), entry.format("'plain'")):
        with pytest.raises(sqlite3.IntegrityError, match="plain text"):
            await file_database.write(execute, sql)
    named = await file_database.fetch_all(
        """
        SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE c.name LIKE '%pass%' OR c.name LIKE '%secret%' OR c.name LIKE '%token%'
        """
    )
    known = {column[:2] for column in sealed.COLUMNS}
    # Hashes, numbers, a privilege, and which token was used.
    harmless = {
        ("audit", "token_id"),
        ("audit", "token"),
        ("users", "password"),
        ("users", "token_epoch"),
        ("users", "change_password"),
        ("domains", "token_epoch"),
        ("api_token_permissions", "token_id"),
        ("tasks", "token_id"),
    }
    assert {tuple(row) for row in named} - harmless == known - {("settings", "value")}


def make_pipe(path: Path) -> None:
    """Nobody ever writes anything into it."""
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.chmod(0o640), r"Others may use the key file .* \(mode 0640\).*chmod 600"),
        (lambda path: path.chmod(0o604), "Others may use"),
        (lambda path: path.write_text(""), "is not a key file"),
        (lambda path: path.write_text("# something else\nAAAA\n"), "is not a key file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is not a key file"),
        (lambda path: path.write_bytes(path.read_bytes().split(b"\n")[0]), "is not a key file"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\xff\n"), "is not a key file"),
        (lambda path: path.write_bytes(path.read_bytes() * 2000), "is not a key file"),
        (make_pipe, "is not a key file"),
        (lambda path: (path.unlink(), path.mkdir(0o700)), "is not a key file|cannot be read"),
        (lambda path: path.unlink(), "is missing, and without it.*postroom key reset"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "is missing"),
    ],
)
def test_key_files_that_are_refused(tmp_path: Path, spoil: Callable[[Path], object], reason: str) -> None:
    """What others can read, what is no key file and what is not there is refused in one line, and left as it is."""
    path = tmp_path / "postroom.sqlite3"
    open_once(path)
    spoil(Path(f"{path}.key"))
    before = sorted(file.name for file in tmp_path.iterdir())
    for create in (True, False):
        with pytest.raises(WrongDatabaseError, match=reason) as refused:
            open_once(path, create=create)
        assert "\n" not in str(refused.value)
    assert sorted(file.name for file in tmp_path.iterdir() if "-" not in file.name) == before


def test_the_key_lies_where_it_is_wanted(tmp_path: Path) -> None:
    """In another folder, which is made; a link is followed, also by a rotation; the file is its owner's alone."""
    path, key_file = tmp_path / "postroom.sqlite3", tmp_path / "keys" / "link"
    (tmp_path / "keys").mkdir()
    real = tmp_path / "elsewhere" / "key"
    open_once(path, key_file=str(real))
    assert not (tmp_path / "postroom.sqlite3.key").exists()
    key_file.symlink_to(real)
    before = real.read_bytes()

    async def rotate() -> None:
        database = await Database.open(str(path), create=False, key_file=str(key_file))
        await database.write(lambda connection: sealed.rotate(connection, tokens=True))
        await database.close()

    asyncio.run(rotate())
    assert key_file.is_symlink()
    assert real.read_bytes() != before
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Where no key file can be made, the reason is told and no secret is stored."""
    (tmp_path / "file").touch()
    with pytest.raises(WrongDatabaseError, match=r"key file .* cannot be"):
        open_once(tmp_path / "a.sqlite3", key_file=str(tmp_path / "file" / "key"))


def test_a_reset_keeps_what_can_be_read(old: Path) -> None:
    """With the key lost everything is forgotten, once; entries of fetchmail are off."""
    known(old)
    Path(f"{old}.key").unlink()

    async def reset() -> dict[str, int]:
        database = await Database.open(str(old), create=False, unlock=False)
        forgotten = await database.write(sealed.reset, str(old))
        assert await database.fetch_value("SELECT max(active) FROM fetchmail") == 0
        await database.close()
        return {table: min(count, 1) for table, count in forgotten.items()}

    assert asyncio.run(reset()) == {"settings": 1, "ldap_configs": 1, "fetchmail": 1}
    assert asyncio.run(reset()) == {}
    token, binds, mail = known(old)
    assert token != TOKEN_KEY
    assert set(binds) == set(mail) == {None}
