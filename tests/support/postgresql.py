"""A throw-away PostgreSQL server on a Unix socket, and a database of its own for each test.

It touches only a temporary folder and needs no special rights; root, as whom PostgreSQL refuses to run, lends it to
the account postgres or nobody.
"""

import atexit
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from postroom.storage.postgresql.migrating import latest, oldest
from tests.support.slapd import free_port

#: The administrator of the server, and the owner of the databases, who may do nothing outside of them.
SUPERUSER = "postgres"
OWNER = "postroom"
PASSWORD = "owner-secret"

_MIGRATIONS = Path(__file__).parents[2] / "storage" / "migrations" / "postgresql"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
_ROOM = 2 << 30
_OLDEST = 14
_START_LIMIT = 30.0
_PORT = 5432

_SETTINGS = {
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # in the folder: nothing is left behind by a server that is killed
    "log_line_prefix": "'%m [%p] %d '",
    "timezone": "UTC",
}
#: Nothing waits for the disk, and nobody tidies up what is dropped soon. A crash of the machine would lose all.
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
}

#: Ends the server and removes its folder ($1) when standard input ends, so also when the tests are killed.
_GUARD: Final = """
trap '' INT TERM HUP
read -r _
if read -r server < "$1/data/postmaster.pid"; then
    kill -QUIT "$server"
    for _ in $(seq 100); do kill -0 "$server" || break; sleep 0.05; done
fi
rm -rf "$1"
"""


class PostgreSQLError(RuntimeError):
    """PostgreSQL is not installed or did not start; the text says which and why."""


class PostgreSQL:
    """A running server; use it as a context manager; `stop()`, `kill()` and `start()` keep its data.

    By default it keeps every commit, like any server. A `fast` one is in memory where there is room, and waits for no
    disk: it keeps its commits when it is killed, but not when the machine crashes. With `tcp` it listens on `port` of
    the loopback interface as well, and wants a password there. One that `follows` another (without tcp) is its replica.
    `settings` go to postgresql.conf.
    """

    def __init__(
        self, *, fast: bool = False, tcp: bool = False, follows: "PostgreSQL | None" = None, **settings: str
    ) -> None:
        self.port = free_port() if tcp else _PORT
        self._fast = fast
        self._tcp = tcp
        self._primary = follows
        self._settings = {**_SETTINGS, **(_FAST if fast else {}), **settings}
        self._folder: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: psycopg.Connection[Any] | None = None
        self._made = 0

    def __enter__(self) -> Self:
        self._folder = folder = Path(tempfile.mkdtemp(prefix="pg-", dir=_room(self._fast)))
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        atexit.register(self.close)
        try:
            self._initialise(folder)
            self.start()
            if self._primary is None:
                self.admin.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(OWNER), PASSWORD))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts the server, unless it runs, and waits until it answers. PostgreSQLError when it does not."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = self._spawn("postgres", "-D", str(self.folder / "data"))
        limit = time.monotonic() + _START_LIMIT
        while self._process.poll() is None and time.monotonic() < limit:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url(SUPERUSER, user=SUPERUSER)).close()
                return
            time.sleep(0.02)
        self.kill()
        raise PostgreSQLError(f"PostgreSQL did not start: {self.log()}")

    def follow(self, primary: "PostgreSQL") -> None:
        """Becomes a standby of another server, with a copy of its data."""
        self.stop()
        data = self.folder / "data"
        settings = (data / "postgresql.conf").read_bytes()
        shutil.rmtree(data)
        copied = self._spawn(
            "pg_basebackup", "-D", str(data), "-h", str(primary.folder), "-p", str(primary.port), "-U", SUPERUSER,
            "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
        )  # fmt: skip
        if copied.wait():
            raise PostgreSQLError(f"pg_basebackup failed: {self.log()}")
        (data / "postgresql.conf").write_bytes(settings)
        self.start()

    def stop(self) -> None:
        """Ends the server in good order; connections break. Does nothing when it is not running."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kills the server and its processes with SIGKILL: it has to recover when it starts again."""
        self._forget_admin()
        if self._process is not None:
            # While it stands still it begins no process that would be left over.
            self._process.send_signal(signal.SIGSTOP)
            everyone = self._everyone()
            for each in everyone:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            self._process.wait()
            while any(_is_alive(each) for each in everyone):
                time.sleep(0.005)
            self._process = None

    def pause(self) -> None:
        """The server keeps its connections and sends nothing until resume()."""
        for each in self._everyone():
            each.suspend()

    def resume(self) -> None:
        """Ends pause()."""
        for each in self._everyone():
            # A session may have ended by itself meanwhile.
            with suppress(psutil.NoSuchProcess):
                each.resume()

    def close(self) -> None:
        """Ends the server and removes its files."""
        self.resume()
        self._end(signal.SIGQUIT)  # at once; it still frees what SIGKILL would leave in the system
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.communicate()
        self._folder = None
        atexit.unregister(self.close)

    @property
    def folder(self) -> Path:
        """Where the socket is; `data` in it has the databases."""
        if self._folder is None:
            raise PostgreSQLError("The server is used outside its with block")
        return self._folder

    def log(self) -> str:
        """What the server has logged."""
        return (self.folder / "log").read_text("utf-8", "replace").strip()

    def url(self, database: str, user: str = OWNER) -> str:
        """The address of a database on the Unix socket, which asks for no password."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str, password: str = PASSWORD) -> str:
        """The address of a database over TCP."""
        return f"postgresql://{OWNER}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def admin(self) -> psycopg.Connection[Any]:
        """A connection of the server's administrator, in autocommit mode; it stays open."""
        if self._admin is None:
            self._admin = psycopg.connect(self.url(SUPERUSER, user=SUPERUSER), autocommit=True)
        return self._admin

    def make_database(self, schema: str = "", options: str = "") -> str:
        """A new database with this schema (a script of SQL), which belongs to OWNER; its name.

        What a schema needs is made once, as a template that each such database is a copy of. `options` of CREATE
        DATABASE are for the template.
        """
        template = f"template_{hashlib.sha256((schema + options).encode()).hexdigest()[:16]}"
        if not self.admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (template,)).fetchone():
            self._make_template(template, schema, options)
        self._made += 1
        name = f"test_{self._made}"
        self._create(name, f"TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Removes a database, whoever is connected to it."""
        self.admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))

    def _make_template(self, name: str, schema: str, options: str) -> None:
        unfinished = f"{name}_unfinished"
        self.drop_database(unfinished)
        self._create(unfinished, f"TEMPLATE template0 {options}")
        with psycopg.connect(self.url(unfinished)) as connection:
            # A script is text of ours; without parameters it may be several statements.
            connection.execute(cast("Any", schema))
        self.admin.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(unfinished), Identifier(name)))

    def _create(self, name: str, options: str) -> None:
        self.admin.execute(cast("Any", f"CREATE DATABASE {name} OWNER {OWNER} {options}"))

    def _initialise(self, folder: Path) -> None:
        account = self._account
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        made = self._spawn(*self._copied(folder)) if self._primary else self._spawn(
            "initdb", "-D", str(folder / "data"), "--no-sync", f"--username={SUPERUSER}", "--encoding=UTF8",
            "--locale=C.UTF-8", "--lc-collate=C", "--auth-local=trust", "--auth-host=scram-sha-256",
        )  # fmt: skip
        if made.wait():
            raise PostgreSQLError(f"initdb failed: {self.log()}")
        where = {
            "listen_addresses": "'127.0.0.1'" if self._tcp else "''",
            "unix_socket_directories": f"'{folder}'",
            "port": str(self.port),
        }
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in {**self._settings, **where}.items())

    def _copied(self, folder: Path) -> tuple[str, ...]:
        """The command that makes a follower of the primary."""
        of = cast("PostgreSQL", self._primary).folder
        target = ("-D", str(folder / "data"), "-R", "-X", "stream", "-c", "fast", "--no-sync")
        return ("pg_basebackup", "-h", str(of), "-p", str(_PORT), "-U", SUPERUSER, *target)

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        account = self._account
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [programs() / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                # Ctrl-C is for the tests, which end the server.
                start_new_session=True,
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=account and [],
            )

    @cached_property
    def _account(self) -> pwd.struct_passwd | None:
        """Who runs the server, None for the account of the tests."""
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            return pwd.getpwnam("nobody")

    def _everyone(self) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        server = psutil.Process(self._process.pid)
        return [server, *server.children(recursive=True)]

    def _end(self, number: signal.Signals) -> None:
        self._forget_admin()
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()

    def _forget_admin(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()


def _is_alive(process: psutil.Process) -> bool:
    # One that nobody has waited for yet holds nothing any more.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _room(fast: bool) -> str | None:
    """The folder for temporary files: in memory if nothing has to outlive it. A new database writes 7 MiB."""
    if fast and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM:
        return str(_MEMORY)
    return None


def schema() -> str:
    """All of postroom's migrations for PostgreSQL, one after the other, and what it writes after them."""
    scripts = sorted(_MIGRATIONS.glob("*.sql"))
    texts = [path.read_text("utf-8") for path in scripts]
    after = f"UPDATE schema_version SET version = {latest()}; UPDATE compatibility SET oldest_schema = {oldest()}"
    return "\n".join([*texts, after])


def programs() -> Path:
    """The folder of the newest PostgreSQL. PostgreSQLError when there is none that is new enough."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    versions = {int(path.parent.name): path for path in found}
    if versions and max(versions) >= _OLDEST:
        return versions[max(versions)]
    if on_path := shutil.which("postgres"):
        return Path(on_path).parent
    raise PostgreSQLError(f"PostgreSQL {_OLDEST} or newer is not installed: it is in the Debian package postgresql")
