"""The PostgreSQL servers of the tests (tests/support/postgresql.py): kept data, databases of their own, a sure end."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.postgresql import OWNER, PostgreSQL
from tests.support.waiting import until

pytestmark = pytest.mark.postgresql

SCHEMA = "CREATE TABLE things (name text NOT NULL); INSERT INTO things VALUES ('one');"


def things(url: str) -> list[str]:
    """The rows of SCHEMA."""
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM things ORDER BY name")]


def add_thing(url: str) -> None:
    """Adds a row and commits it."""
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO things VALUES ('two')")


def test_each_test_has_a_database_of_its_own(postgresql_server: PostgreSQL) -> None:
    """Databases of one schema are made from one template, and do not see each other's rows."""
    one, other = (postgresql_server.make_database(SCHEMA) for _ in range(2))
    add_thing(postgresql_server.url(one))
    assert things(postgresql_server.url(one)) == ["one", "two"]
    assert things(postgresql_server.url(other)) == ["one"]
    counted = "SELECT count(*) FROM pg_database WHERE datname LIKE 'template%'"
    before = postgresql_server.admin.execute(counted).fetchone()
    postgresql_server.make_database(SCHEMA)
    databases = postgresql_server.admin.execute(counted).fetchone()
    assert databases == before
    postgresql_server.drop_database(one)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(postgresql_server.url(one))


def test_a_bad_schema_leaves_no_template(postgresql_server: PostgreSQL) -> None:
    """A schema that cannot be made fails each time, not just the first."""
    for _ in range(2):
        with pytest.raises(psycopg.errors.SyntaxError):
            postgresql_server.make_database("CREATE NONSENSE")


def test_the_owner_is_no_administrator(postgresql_url: str) -> None:
    """Tests run as an account that owns its database and nothing else; its letters are ordered by code point."""
    with psycopg.connect(postgresql_url) as connection:
        who = connection.execute(
            "SELECT current_user, rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        assert who.fetchone() == (OWNER, False, False)
        where = connection.execute(
            "SELECT datcollate, datctype, pg_encoding_to_char(encoding) FROM pg_database"
            " WHERE datname = current_database()"
        )
        assert where.fetchone() == ("C", "C.UTF-8", "UTF8")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server that waits for the disk, and listens on TCP."""
    with PostgreSQL(tcp=True) as running:
        yield running


def test_a_commit_outlives_the_server(server: PostgreSQL) -> None:
    """What is committed is there after a stop, and after SIGKILL of all its processes."""
    assert server.admin.execute("SHOW fsync").fetchone() == ("on",)
    name = server.make_database(SCHEMA)
    for end in (server.stop, server.kill):
        add_thing(server.url(name))
        end()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url(name))
        server.start()
    assert things(server.url(name)) == ["one", "two", "two"]


def test_tcp_wants_the_password(server: PostgreSQL) -> None:
    """Over TCP only the right password is let in."""
    name = server.make_database(SCHEMA)
    assert things(server.tcp_url(name)) == ["one"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.tcp_url(name, password="wrong"))


def test_a_paused_server_sends_nothing(server: PostgreSQL) -> None:
    """A paused server keeps its connections and does not respond until it goes on."""
    name = server.make_database(SCHEMA)
    with psycopg.connect(server.url(name)) as connection:
        server.pause()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(server.url(name), connect_timeout=2)
        server.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_ends_with_its_tests() -> None:
    """A process of the tests that is killed takes its server and the files of it along."""
    script = """
        import time
        from tests.support.postgresql import PostgreSQL
        with PostgreSQL(fast=True) as server:
            print(server.folder, server._process.pid, flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", "\n".join(line[8:] for line in script.splitlines())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        assert process.stdout is not None
        folder, pid = process.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        os.kill(process.pid, signal.SIGKILL)
    asyncio.run(until(lambda: not Path(folder).exists()))
    assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
