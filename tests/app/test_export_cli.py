"""postroom export --seed: from a database to a server of a test."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from postroom.testing import running
from tests.app.test_cli import POSTROOM
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD
from tests.support.whole_store import fill

#: Databases on a server are read by tests/app/testing/test_seeds.py.
pytestmark = pytest.mark.sqlite


def export(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs the command; it has to end with that code, and never with a traceback."""
    done = subprocess.run(
        [POSTROOM, "export", *arguments], cwd=folder, env={"PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done


async def test_a_database_becomes_a_seed(start_service: StartService, tmp_path: Path) -> None:
    """While the service runs; with secrets only if asked for."""
    service = await start_service(database=str(tmp_path / "postroom.sqlite3"))
    await fill(service, await service.login("admin", ADMIN_PASSWORD))
    seeds: list[Any] = [json.loads(export(tmp_path, "--seed", *more).stdout) for more in ([], ["--secrets"])]
    for name in ("passwordHash", "srcPassword"):
        assert [name in json.dumps(seed) for seed in seeds] == [False, True]
    async with running(seeds[1]) as server:
        assert await server.dump_seed() == seeds[1]
        await server.login("jane@example.org", USER_PASSWORD)
    async with running(seeds[0]) as server:
        assert len((await server.dump_seed())["users"]) == 5


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    """Nothing is made, and the message says why."""
    for form in ([], ["--seed"], ["people"], ["--format", "csv", "people"]):
        assert "There is no database" in export(tmp_path, *form, code=2).stderr
    assert "Name the folder" in export(tmp_path, "--format", "csv", code=2).stderr
    assert (
        "POSTROOM_DATABASE names a server" in export(tmp_path, "--seed", "--database", "postgresql:///x", code=2).stderr
    )
    (tmp_path / "other").write_text("no database" * 1000)
    assert "postroom: " in export(tmp_path, "--seed", "--database", "other", code=3).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


async def test_without_the_key(start_service: StartService, tmp_path: Path) -> None:
    """Secrets cannot be read without it; everything else can."""
    await start_service(database=str(tmp_path / "postroom.sqlite3"))
    (tmp_path / "postroom.sqlite3.key").unlink()
    assert export(tmp_path, "--seed").stdout == "{}\n"
    assert "The key file" in export(tmp_path, "--seed", "--secrets", code=2).stderr
