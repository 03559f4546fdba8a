"""docs/tokens.md is true: its commands work, and its limits are those of the code."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from postroom.app.auth import api_tokens as tokens
from postroom.app.services import api_tokens, sessions, upkeep
from postroom.app.transactions import api_tokens as rules
from postroom.schemas import tokens as schemas
from tests.demo import ROOT, Shell, commands, running_postroom

PAGE = (ROOT / "docs" / "tokens.md").read_text("utf-8")
CLIENTS = (ROOT / "docs" / "clients.md").read_text("utf-8")


def test_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the page works in its order; the response that it shows is the real one."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("POSTROOM_DATABASE", str(tmp_path / "demo.sqlite3"))
    with running_postroom(tmp_path) as url:
        shell = Shell(tmp_path, API=f"{url}/api/v1")
        shell.run(commands(CLIENTS)[0][1])
        header = '-H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
        shell.run(f"""curl -s $API/system/domains {header} -d '{{"domainname": "example.com", "maxUser": 9}}'""")
        shell.run(f"""curl -s $API/domains/1/users {header} -d '{{"username": "anna", "status": 4}}'""")
        made, read, refused, ended, by_command, logins = (
            shell.run(f"cd {tmp_path}; {command}") for _, command in commands(PAGE)
        )
    assert json.loads(made)["token"].startswith(tokens.PREFIX)
    assert json.loads(read)["data"] == [{"ID": 1, "username": "anna@example.com"}]
    (shown,) = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert refused.strip() == shown
    assert '"lastUsed":' in ended
    assert "The token export of admin has been revoked" in ended
    assert by_command.startswith(tokens.PREFIX)
    assert by_command.rstrip().endswith("The token export of admin has been revoked")
    assert json.loads(logins)["data"][0]["current"] is True


def test_numbers() -> None:
    """The limits on the page are those of the code."""
    page = " ".join(PAGE.split())
    for number, shown in (
        (schemas.LONGEST_NAME, "up to 64 characters"),
        (schemas.MOST_PERMISSIONS, '`{"permission": "DomainAdmin", "params": 1}`, up to 100'),
        (schemas.MOST_NETWORKS, "up to 64 networks"),
        (rules.MOST_TOKENS, "up to 100 tokens"),
        (upkeep._SHOWN // (24 * 3600), "shown for 30 days"),
        (sessions.MOST_SESSIONS, "up to 1,000; beyond"),
    ):
        assert f"{number:,}" in shown
        assert shown in page
    assert api_tokens.LASTS == 365 * 24 * 3600
    assert api_tokens.LONGEST == 10 * api_tokens.LASTS
    assert upkeep.STORED_EVERY == 60
