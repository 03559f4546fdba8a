"""The application inside of a command: it lets in the command, and whoever has a token as at any service."""

from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from postroom.app.auth.operator import Operator
from postroom.app.config import Config
from postroom.app.local import local_app
from postroom.app.routes import BASE
from postroom.app.web.keys import CURRENT
from postroom.storage.audit.record import Author
from postroom.storage.database import Database
from postroom.storage.writing import AUTHOR


@pytest.mark.sqlite
async def test_who_may_do_what(tmp_path: Path) -> None:
    """Without the token of the command nobody is let in; what it writes is on record as written by its author. It needs
    no account, and leaves neither a login nor a token behind.
    """
    path = str(tmp_path / "postroom.sqlite3")
    await (await Database.open(path)).close()
    author = Author("command", "postroom org create", actor="root")
    before = AUTHOR.set(lambda: author)
    try:
        async with local_app(Config(database=path)) as (app, token), TestClient(TestServer(app)) as client:
            for wrong in ("", "x", token[:-1], "postroom_x", "é"):
                headers = {"Authorization": f"Bearer {wrong}"} if wrong else {}
                async with client.post(f"{BASE}/system/orgs", json={"name": "X"}, headers=headers) as response:
                    assert response.status == 401
            mine = {"Authorization": f"Bearer {token}"}
            async with client.post(f"{BASE}/system/orgs", json={"name": "X"}, headers=mine) as response:
                assert response.status == 201
            async with client.post(f"{BASE}/system/orgs", json={"name": "Y"}, cookies={"x": "y"}) as response:
                assert response.status == 401
            database = app[CURRENT].context.database
            written = await database.fetch_all(
                "SELECT means, operation, actor_id, actor, kind FROM audit WHERE kind = 'org'"
            )
            assert [tuple(row) for row in written] == [("command", "postroom org create", None, "root", "org")]
            for table in ("sessions", "api_tokens", "users"):
                assert await database.fetch_value(f"SELECT count(*) FROM {table}") == 0
        async with local_app(Config(database=path)) as (_, another):
            assert another != token
    finally:
        AUTHOR.reset(before)


def test_an_operator_is_nobody_with_a_login() -> None:
    """They have neither a session nor a token for programs, and do not expire while the command runs."""
    fields = Operator.__dataclass_fields__
    assert fields["session_id"].default is None
    assert fields["token"].default is None
