"""A store with something in every table on either engine, into which a test plants faults that no rule would allow."""

import asyncio
import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import psycopg

from postroom.app.config import Config
from postroom.storage.moving.mover import move
from postroom.storage.sqlite import sqlite3
from tests.support.both_engines import run
from tests.support.postgresql import SUPERUSER, PostgreSQL
from tests.support.service import ADMIN_PASSWORD, Service
from tests.support.whole_store import fill


def make_whole(folder: Path) -> Path:
    """A file with something in every table, made through the API; its key file stands beside it."""
    path = folder / "whole.sqlite3"

    async def make() -> None:
        config = Config(database=str(path), admin_password=ADMIN_PASSWORD)
        async with Service.started(config) as service:
            await fill(service, await service.login("admin", ADMIN_PASSWORD))

    asyncio.run(make())
    return path


@dataclass(frozen=True, slots=True)
class Store:
    """A database with its key file."""

    name: str
    key_file: str
    #: The server that has it; None: it is a file.
    server: PostgreSQL | None = None

    @classmethod
    def copied(cls, whole: Path, folder: Path, server: PostgreSQL | None = None) -> "Store":
        """A copy of a file, as a file or on a server."""
        path, keys = folder / "postroom.sqlite3", folder / "postroom.sqlite3.key"
        shutil.copy(f"{whole}.key", keys)
        shutil.copy(whole, path)
        path.chmod(0o600)
        if server is None:
            return cls(str(path), str(keys))
        url = server.url(server.make_database())
        move(str(path), url, str(keys), lambda *_: None)
        return cls(url, str(keys), server)

    def plant(self, *statements: str) -> None:
        """Runs statements without triggers, foreign keys and, on SQLite, conditions of columns."""
        if self.server is None:
            self._plant_in_file(statements)
        else:
            self._plant_on_server(self.server, statements)

    def _plant_in_file(self, statements: tuple[str, ...]) -> None:
        with contextlib.closing(sqlite3.connect(self.name, isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)
            for _, sql in triggers:
                connection.execute(sql)

    def _plant_on_server(self, server: PostgreSQL, statements: tuple[str, ...]) -> None:
        database = self.name.split("@/")[1].split("?")[0]
        with psycopg.connect(server.url(database, user=SUPERUSER), autocommit=True) as connection:
            run(connection, "SET session_replication_role = replica")
            for statement in statements:
                run(connection, statement)
