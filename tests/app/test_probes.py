"""/healthz and /readyz, for whoever starts and watches services."""

import asyncio
from typing import Any

import pytest

from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.storage.faults import DatabaseError
from tests.support.service import Service


async def ask(service: Service, path: str) -> tuple[int, Any]:
    """Status and body."""
    async with service.session.get(service.url + path) as response:
        return response.status, await response.json()


async def test_alive_and_ready(service: Service) -> None:
    """Both need no login, tell nothing else, and are not in the log of requests."""
    assert await ask(service, "/healthz") == (200, {"message": "Alive"})
    assert await ask(service, "/readyz") == (200, {"message": "Ready"})
    assert not [line for line in service.eavesdropper.lines if "healthz" in line or "readyz" in line]


async def test_during_the_shutdown(service: Service) -> None:
    """It is alive, and not ready any more."""
    service.app[IN_FLIGHT].stopping = True
    assert await ask(service, "/readyz") == (503, {"message": "The service is shutting down"})
    assert (await ask(service, "/healthz"))[0] == 200


async def test_without_a_database(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is alive, and not ready: a restart would not help. A database that hangs is not waited for."""

    async def fails(_self: object) -> None:
        raise DatabaseError("no such disk")

    async def hangs(_self: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("postroom.storage.database.Database.check", fails)
    status, body = await ask(service, "/readyz")
    assert (status, body["message"]) == (503, "The database cannot be used at the moment; try again later")
    monkeypatch.setattr("postroom.app.services.measuring.PATIENCE", 0.05)
    monkeypatch.setattr("postroom.storage.database.Database.check", hangs)
    assert await ask(service, "/readyz") == (503, {"message": "The database does not answer"})
    assert (await ask(service, "/healthz"))[0] == 200
