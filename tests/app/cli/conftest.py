"""Commands at both places: on the database of a running service, and over HTTP with a token."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartService
from tests.support.commands import Command
from tests.support.service import ADMIN_PASSWORD, Api, Service


@pytest.fixture
async def service(start_service: StartService, shared_store: dict[str, Any]) -> Service:
    """A service on a database that other processes may use."""
    return await start_service(**shared_store)


@pytest.fixture
async def admin(service: Service) -> Api:
    """The API of the service, with which tests look whether it knows at once what a command has done."""
    return await service.login("admin", ADMIN_PASSWORD)


@pytest.fixture(params=["local", "remote"])
async def command(service: Service, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Any) -> Command:
    """Runs commands at each of the two places."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if request.param == "local" and service.context.config.key_file:
        monkeypatch.setenv("POSTROOM_KEY_FILE", service.context.config.key_file)
    return await Command.at(service, request.param)
