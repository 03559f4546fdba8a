"""What is wrong with a PostgreSQL database ends the start with exit code 2 and one line that names it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from postroom.storage.urls import shown
from tests.app.test_cli import fails, serving
from tests.support.nodes import ADMIN_PASSWORD
from tests.support.postgresql import PASSWORD, PostgreSQL, schema
from tests.support.slapd import free_port

pytestmark = pytest.mark.postgresql

SECRET = "hidden-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """One that wants a password over TCP."""
    with PostgreSQL(fast=True, tcp=True) as running:
        yield running


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """The line with which the start on a URL is refused; no password is in it."""

    def start(url: str, **environ: str) -> str:
        usual = {"POSTROOM_KEY_FILE": str(tmp_path / "keys"), "POSTROOM_ADMIN_PASSWORD": ADMIN_PASSWORD}
        line = fails(tmp_path, "--port", "0", POSTROOM_DATABASE=url, **{**usual, **environ})
        assert SECRET not in line
        assert not [each for each in ("another-secret", "hidden", PASSWORD) if each in line]
        return line

    return start


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://u:hidden-secret@localhost/x", "postgresql://user:password@host/name"),
        ("postgresql://u:hidden-secret@localhost/x?colour=red", "postgresql://user:password@host/name"),
        ("postgresql://u:hidden-secret@[::1/x", "postgresql://user:password@host/name"),
        ("postgresql://u:hidden-secret@localhost:one/x", "postgresql://user:password@host/name"),
        ("postgresql://u:hidden-secret@localhost:99999/x", "postgresql://user:password@host/name"),
        ("postgresql://u:hidden/secret@localhost/x", "postgresql://user:password@host/name"),
        ("postgresql://u:hidden?secret@127.0.0.1:1/x", "refused"),
        ("postgresql://u:hidden-secret@localhost/x?sslmode=perhaps", "a parameter of the URL"),
        ("postgresql://u:hidden-secret@no.such.host.invalid/x", "no.such.host.invalid"),
        ("postgresql://u@127.0.0.1:1/x?password=hidden-secret", "127.0.0.1:1/x"),
        ("postgresql://u:hidden-secret@127.0.0.1:1,127.0.0.1:2/x", "refused"),
        ("postgresql:///x?host=/nowhere&password=hidden-secret", "/nowhere"),
    ],
)
def test_urls_that_lead_nowhere(refused: Callable[..., str], url: str, reason: str) -> None:
    """A URL that is none, an unknown host, and a server that is not there."""
    assert reason in refused(url)


def test_what_is_shown_of_a_url() -> None:
    """User, hosts and database; never a password, however it is written."""
    hidden = [
        "postgresql://u:secret@h/d", "postgresql://u:se/cret@h/d", "postgresql://u:sec@ret@h/d",
        "postgresql://u:sec#ret@h/d", "postgresql://u@h/d?password=secret",
    ]  # fmt: skip
    assert {shown(url) for url in hidden} == {"postgresql://u@h/d"}
    assert shown("postgresql://u:sec?ret@h/d") == "postgresql://..."
    assert shown("postgresql://a:1,b:2/d") == "postgresql://a:1,b:2/d"
    assert shown("postgresql:///d?host=/run") == "postgresql:///d"


def test_the_database_and_the_user(server: PostgreSQL, refused: Callable[..., str]) -> None:
    """No such database, a wrong password, none, an unknown user, and one without rights."""
    name = server.make_database()
    assert "there is no such database" in refused(server.tcp_url("nothing"))
    assert "refuses this user or password" in refused(server.tcp_url(name, "another-secret"))
    assert "refuses this user or password" in refused(f"postgresql://postroom@127.0.0.1:{server.port}/{name}")
    assert "the server does not know this user" in refused(server.url(name, user="nobody_knows"))
    server.admin.execute("DROP ROLE IF EXISTS guest")
    server.admin.execute("CREATE ROLE guest LOGIN")
    assert "the user lacks a right" in refused(server.url(name, user="guest"))
    server.admin.execute(f"REVOKE CONNECT ON DATABASE {name} FROM public")
    assert "this user may not use the database" in refused(server.url(name, user="guest"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("ENCODING 'LATIN1' LC_CTYPE 'C' LC_COLLATE 'C'", "it is encoded in LATIN1"),
        ("ENCODING 'SQL_ASCII' LC_CTYPE 'C' LC_COLLATE 'C'", "it is encoded in SQL_ASCII"),
        ("ENCODING 'UTF8' LC_CTYPE 'C' LC_COLLATE 'C'", "its character type knows ASCII only"),
    ],
)
def test_a_database_that_cannot_hold_names(
    server: PostgreSQL, refused: Callable[..., str], options: str, reason: str
) -> None:
    """Another encoding, and a locale without letters beyond ASCII."""
    assert reason in refused(server.url(server.make_database(options=options)))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("CREATE TABLE invoices (id int)", "it has tables of something else"),
        ("CREATE VIEW invoices AS SELECT 1", "it has tables of something else"),
        ("CREATE TABLE schema_version (version int)", "it has tables of something else"),
        ("CREATE TABLE schema_version (program text, version int)", "it has tables of something else"),
        ("CREATE TABLE schema_version (v text, version text); CREATE TABLE x ()", "it has tables of something else"),
    ],
)
def test_a_database_of_something_else(
    server: PostgreSQL, refused: Callable[..., str], script: str, reason: str
) -> None:
    """Tables of another program stay as they are."""
    name = server.make_database(script)
    assert reason in refused(server.url(name))
    with psycopg.connect(server.url(name)) as connection:
        query = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
        assert connection.execute(query).fetchone() == (script.count("CREATE"),)


def test_a_newer_schema(server: PostgreSQL, refused: Callable[..., str]) -> None:
    """An older postroom does not touch what a newer one has made."""
    url = server.url(server.make_database(schema()))
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE schema_version SET version = 999")
        connection.execute("UPDATE compatibility SET oldest_schema = 999")
    assert "newer version of postroom (schema 999" in refused(url)


def test_keys(server: PostgreSQL, refused: Callable[..., str], tmp_path: Path) -> None:
    """No key file is named, one of another store, and one that is gone."""
    url = server.url(server.make_database())
    assert "POSTROOM_KEY_FILE" in refused(url, POSTROOM_KEY_FILE="")
    settings = {"POSTROOM_KEY_FILE": str(tmp_path / "keys"), "POSTROOM_ADMIN_PASSWORD": ADMIN_PASSWORD}
    with serving(tmp_path, POSTROOM_DATABASE=url, **settings) as running:
        assert running.stop() == 0
    (tmp_path / "other").write_bytes((tmp_path / "keys").read_bytes())
    with serving(tmp_path, POSTROOM_DATABASE="other.sqlite3", POSTROOM_ADMIN_PASSWORD=ADMIN_PASSWORD) as running:
        assert running.stop() == 0
    (tmp_path / "other.sqlite3.key").rename(tmp_path / "other")
    assert "key" in refused(url, POSTROOM_KEY_FILE=str(tmp_path / "other"))
    assert "key" in refused(url, POSTROOM_KEY_FILE=str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("opening.OLDEST = migrating.OLDEST = 99", "is too old; 99 or newer is needed"),
        ("sys.modules['psycopg'] = None", "pip install 'postroom[postgresql]'"),
    ],
)
def test_versions_and_packages(server: PostgreSQL, tmp_path: Path, change: str, reason: str) -> None:
    """A server that is too old, and a postroom without psycopg."""
    imports = "from postroom.storage.postgresql import migrating, opening\n" if "opening" in change else ""
    script = f"import sys\n{imports}{change}\nfrom postroom.app.cli.main import main\nsys.argv[0] = 'postroom'\nmain()"
    found = subprocess.run(
        [sys.executable, "-c", script, "serve", "--port", "0"],
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
        env={"POSTROOM_DATABASE": server.url(server.make_database()), "POSTROOM_KEY_FILE": "keys"},
    )  # fmt: skip
    assert found.returncode == 2, found
    (line,) = found.stderr.splitlines()
    assert reason in line


@pytest.mark.torture
def test_a_replica(refused: Callable[..., str], tmp_path: Path) -> None:
    """A standby is named as one; given beside its primary, it is passed over."""
    with PostgreSQL(wal_level="replica", max_wal_senders="4") as primary, PostgreSQL(hot_standby="on") as standby:
        name = primary.make_database()
        standby.follow(primary)
        url = standby.url(name)
        assert "is a replica, which can only be read" in refused(url)
        assert "is a replica, which can only be read" in refused(f"{url}&target_session_attrs=any")
        both = f"postgresql://postroom@/{name}?host={standby.folder},{primary.folder}&port=5432,5432"
        settings = {"POSTROOM_KEY_FILE": str(tmp_path / "keys"), "POSTROOM_ADMIN_PASSWORD": ADMIN_PASSWORD}
        with serving(tmp_path, POSTROOM_DATABASE=both, **settings) as running:
            assert running.stop() == 0
        primary.kill()
        assert "none of its servers takes writes" in refused(
            f"postgresql://postroom@127.0.0.1:{free_port()},/{name}?host={primary.folder},{standby.folder}"
        )


def test_nodes_that_migrate_at_once(server: PostgreSQL, tmp_path: Path) -> None:
    """One of four makes the schema, the administrator and the keys; the others wait, and all serve."""
    url = server.url(server.make_database())
    settings = {"POSTROOM_KEY_FILE": str(tmp_path / "keys"), "POSTROOM_DATABASE": url}
    with ThreadPoolExecutor(4) as threads:
        starts = [threads.submit(serving, tmp_path, **settings) for _ in range(4)]
        running = [start.result() for start in starts]
    for each in running:
        with each as one:
            assert one.ports, one.lines
            assert one.stop() == 0
