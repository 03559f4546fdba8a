"""A running service for tests: real HTTP, a real database in memory (or in a file, where that is the point)."""

import gc
import os
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from postroom.app.config import Config
from postroom.app.limits.clients import Limits
from postroom.storage.database import Database
from tests.support.cheap import choose_prices
from tests.support.postgresql import PostgreSQL, schema
from tests.support.service import ADMIN_PASSWORD, Api, Service

#: A project of its own; tests/test_pytest_plugin.py runs its tests.
collect_ignore = ["client_project"]

# The same examples in every run and no deadline, because a busy machine is not a failure.
settings.register_profile("postroom", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("postroom")


def pytest_collection_finish() -> None:
    """Excludes objects that live until the end (thousands of tests, all imports) from garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the cost of the tests in one line. The usage of a worker is known once it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    largest = max(each.ru_maxrss for each in used) >> 10
    terminalreporter.write_line(
        f"Took {time.time() - _BEGUN:.0f} s, and {cpu:.0f} s of CPU. Largest process: {largest} MiB, "
        f"workers: {config.getoption('numprocesses', 0) or 1}, cores: {len(os.sched_getaffinity(0))}."
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Chooses for each test whether expensive steps are real or cheap, and leaves out what is not about the engine."""
    if ENGINE != "sqlite" and item.get_closest_marker("sqlite"):
        pytest.skip("about SQLite")
    choose_prices(item)


@pytest.fixture
async def database(empty_store: dict[str, Any]) -> AsyncIterator[Database]:
    """An empty database."""
    opened = await Database.open(empty_store["database"], key_file=empty_store.get("key_file"))
    yield opened
    await opened.close()


@pytest.fixture
async def file_database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database in a file."""
    opened = await Database.open(str(tmp_path / "postroom.sqlite3"))
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """A PostgreSQL server that does not wait for the disk; each process of the tests has one."""
    with PostgreSQL(fast=True) as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql_server: PostgreSQL) -> Iterator[str]:
    """The address of a PostgreSQL database that has the schema and no rows."""
    name = postgresql_server.make_database(schema())
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


#: No resolver listens there: no test asks one outside of this machine.
NO_RESOLVER = (("127.0.0.1", 9),)

_BEGUN = time.time()

#: The engine on which the tests run that do not choose one themselves.
ENGINE = os.environ.get("POSTROOM_TEST_ENGINE", "sqlite")

StartService = Callable[..., Awaitable[Service]]


@pytest.fixture
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The settings of an empty database: in memory, or on PostgreSQL where POSTROOM_TEST_ENGINE says so."""
    if ENGINE == "sqlite":
        return {"database": ":memory:"}
    return {"database": request.getfixturevalue("postgresql_url"), "key_file": str(tmp_path / "postroom.key")}


@pytest.fixture
def shared_store(empty_store: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The same for several processes: in a file, or on PostgreSQL."""
    return {"database": str(tmp_path / "postroom.sqlite3")} if ENGINE == "sqlite" else empty_store


@pytest.fixture
async def start_service(empty_store: dict[str, Any]) -> AsyncIterator[StartService]:
    """Starts a service with any settings, and any `limits` of its connections."""
    async with AsyncExitStack() as stack:

        async def start(limits: Limits | None = None, **settings: Any) -> Service:
            dns = {"dns_servers": NO_RESOLVER, "dns_timeout": 0.5}
            # With the access log, which is searched for secrets (tests/support/eavesdropper.py).
            usual = {**empty_store, "admin_password": ADMIN_PASSWORD, "access_log": True, **dns}
            config = Config(**{**usual, **settings})
            return await stack.enter_async_context(Service.started(config, limits))

        yield start


@pytest.fixture
async def service(start_service: StartService) -> Service:
    """A service with the default settings."""
    return await start_service()


@pytest.fixture
async def admin(service: Service) -> Api:
    """The service's API, logged in as the administrator."""
    return await service.login("admin", ADMIN_PASSWORD)


@pytest.fixture
async def domain(admin: Api) -> int:
    """The ID of a domain example.org with room for 100 users."""
    return await admin.make_domain("example.org", maxUser=100)
