"""docs/bulk.md is true: its commands work, and its responses are real."""

import re
from pathlib import Path

from postroom.app.auth import given_hashes
from postroom.app.limits.clients import Limits
from postroom.app.services import bulk
from postroom.app.transactions import tasks
from postroom.app.web import ndjson
from tests.demo import ROOT, Shell, commands, running_postroom

PAGE = (ROOT / "docs" / "bulk.md").read_text("utf-8")
CLIENTS = (ROOT / "docs" / "clients.md").read_text("utf-8")


def test_commands_work(tmp_path: Path) -> None:
    """Every command of the page works in its order; the response that it shows is the real one."""
    with running_postroom(tmp_path) as url:
        shell = Shell(tmp_path, API=f"{url}/api/v1")
        shell.run(commands(CLIENTS)[0][1])
        header = '-H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
        shell.run(f"""curl -s $API/system/domains {header} -d '{{"domainname": "example.com", "maxUser": 9}}'""")
        _, dry, done, last, rest = (shell.run(f"cd {tmp_path}; {command}") for _, command in commands(PAGE))
    assert "Dry run, nothing was changed. Done up to line 5: 3 created, " in dry
    (shown,) = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert done == shown
    assert last == "5"
    assert '"message":"The body has no lines"' in rest


def test_numbers() -> None:
    """The limits on the page are those of the code."""
    limits = Limits()
    for number, shown in (
        (ndjson.LONGEST_LINE, "A line has at most 1 MiB"),
        (ndjson.MOST_UNREAD, "more than 4 MiB of results"),
        (given_hashes._MOST_MEMORY // 1024, "more than 128 MiB"),
        (given_hashes._MOST_PASSES, "16 passes"),
        (given_hashes._MOST_LANES, "16 lanes"),
        (given_hashes._MOST_COST, "bcrypt above 14"),
        (given_hashes._MOST_ROUNDS, "1,000,000 rounds"),
        (bulk._ERRORS_KEPT, "the first 50 refused lines"),
        (limits.body, "30 seconds for each"),
        (limits.body * limits.rate, "30 KiB"),
    ):
        value = number // 1024**2 if "MiB of" in shown or "1 MiB" in shown else number
        value = number // 1024 if "KiB" in shown else value
        assert f"{int(value):,}" in shown
        assert shown in " ".join(PAGE.split())
    assert (tasks.MOST_BESIDE_EACH, tasks.MOST_BESIDE) == (2, 8)
    assert "two of these requests in flight, all callers together eight" in " ".join(PAGE.split())
