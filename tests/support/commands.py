"""Runs commands inside of the process of a test, which is fast."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from postroom.app.cli.main import app
from tests.support.service import ADMIN_PASSWORD, Service


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command has printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What --json has printed."""
        return json.loads(self.out)

    @property
    def data(self) -> Any:
        """Its data."""
        return self.document["data"]


def ran(*arguments: str, given: str | bytes = "", environ: Mapping[str, str | None] | None = None) -> Ran:
    """Runs a command, with this input."""
    with patch.object(sys, "argv", ["postroom", *arguments]):
        result = CliRunner().invoke(app, arguments, input=given, env=dict(environ or {}))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.stdout + result.stderr
    return Ran(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True, slots=True)
class Command:
    """Runs commands at one place, beside a service that is running there."""

    service: Service
    #: "local" or "remote".
    where: str
    environ: Mapping[str, str | None]

    @classmethod
    async def at(cls, service: Service, where: str) -> "Command":
        """On the database of a service, or with its URL and a token."""
        if where == "local":
            return cls(service, where, {"POSTROOM_DATABASE": service.context.config.database, "POSTROOM_URL": None})
        admin = await service.login("admin", ADMIN_PASSWORD)
        token = (await admin.post("/tokens", {"name": "command"}))["token"]
        return cls(service, where, {"POSTROOM_URL": service.url, "POSTROOM_TOKEN": token})

    async def __call__(self, *arguments: str, code: int = 0, given: str | bytes = "") -> Ran:
        """What a command has printed, which has to end with this code."""
        result = await asyncio.to_thread(ran, *arguments, given=given, environ=self.environ)
        assert result.code == code, result
        return result
