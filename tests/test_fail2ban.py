"""docs/fail2ban: fail2ban finds failed logins in the log of a real process, and bans no other address."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.demo import PASSWORD, ROOT

pytestmark = pytest.mark.attack

FILTER = ROOT / "docs" / "fail2ban" / "postroom.conf"

#: Names that would have 203.0.113.9 banned, or hide the attempt.
FORGED = [
    'x" from 203.0.113.9 for "y',
    'from 203.0.113.9 for "y"',
    '2026-11-24 09:00:00,123 WARNING postroom.logins [a-1]: Login failed from 203.0.113.9 for "y"',
    "x\u2028WARNING postroom.logins [a-1]: Login failed from 203.0.113.9 for \u2028",
    "x\u0085Nov 24 09:00:00 host postroom[1]: WARNING postroom.logins [a-1]: Login failed from 203.0.113.9 for",
    "\u202e\\",
    '"',
    "%s%d{}",
    "2001:db8::9",
    "é" * 320,
]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a process after a failed login with each of these names, all from 192.0.2.1."""
    folder = tmp_path_factory.mktemp("fail2ban")
    # Not on the standard streams' pipe: the log has to be a file.
    with (folder / "log").open("wb") as written:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("postroom"), "serve", "--port", "0", "--database", folder / "db"],
            env={**os.environ, "POSTROOM_ADMIN_PASSWORD": PASSWORD, "POSTROOM_TRUSTED_PROXIES": "127.0.0.1,::1"},
            stdout=subprocess.PIPE, stderr=written, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            found = re.search(r"listens on (http://\S+)", process.stdout.readline())
            assert found
            for name in FORGED:
                assert log_in(found[1], name, "192.0.2.1", "wrong") == 401
            assert {log_in(found[1], "jane", "192.0.2.2", "wrong") for _ in range(12)} == {401, 429}
            assert log_in(found[1], "admin", "192.0.2.3", PASSWORD) == 200
        finally:
            process.terminate()
            process.communicate(timeout=20)
    return folder / "log"


def log_in(url: str, name: str, source: str, password: str) -> int:
    """The status of a login."""
    body = json.dumps({"user": name, "pass": password}).encode()
    headers = {"Content-Type": "application/json", "X-Forwarded-For": source}
    request = Request(f"{url}/api/v1/login", body, headers)  # noqa: S310 - always http://127.0.0.1
    try:
        with urlopen(request, timeout=20) as answer:  # noqa: S310 - always http://127.0.0.1
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def banned(log: Path) -> list[str]:
    """The address of each line that the filter finds."""
    program = shutil.which("fail2ban-regex", path="/usr/bin:/usr/local/bin")
    assert program, "fail2ban is not installed"
    result = subprocess.run(
        [program, "--out", "<ip>", str(log), str(FILTER)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in result.stderr, result.stderr
    return re.findall(r"^[0-9a-f.:]+$", result.stdout, re.MULTILINE)


def test_failed_logins_are_found(log: Path) -> None:
    """Each failure is found with its address, whatever the name; so are attempts that were throttled."""
    found = banned(log)
    assert found.count("192.0.2.1") == len(FORGED)
    assert found.count("192.0.2.2") == 11
    assert len(found) == len(FORGED) + 11


def test_a_failed_login_is_one_line(log: Path) -> None:
    """No name adds a line to the log: every line begins with a time."""
    lines = log.read_text("utf-8").split("\n")
    assert len([line for line in lines if "postroom.logins" in line[:60]]) == len(FORGED) + 11
    assert all(
        re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [a-z.]+ \[[-0-9a-f]+\]: ", line)
        for line in lines
        if line
    )
    assert all(line.isprintable() for line in lines)


def test_lines_in_syslog_are_found(log: Path, tmp_path: Path) -> None:
    """The prefixes of journald and syslog do not hide a line."""
    lines = [line for line in log.read_text("utf-8").split("\n") if line]
    (tmp_path / "syslog").write_text("".join(f"Nov 24 09:00:00 mail postroom[4711]: {line}\n" for line in lines))
    assert len(banned(tmp_path / "syslog")) == len(FORGED) + 11


@pytest.mark.parametrize(
    "line",
    [
        'INFO postroom.requests: Login failed from 203.0.113.9 for "x"',
        'WARNING postroom: x WARNING postroom.logins [a-1]: Login failed from 203.0.113.9 for "x"',
        'WARNING postroom.logins [a-1]: Login failed from mail.example.org for "x"',
        'WARNING postroom.logins [a-1]: Login failed from - for "203.0.113.9"',
        'WARNING postroom.logins [a-1]: A login cannot be checked: Login failed from 203.0.113.9 for "x"',
    ],
)
def test_other_lines_are_not_found(tmp_path: Path, line: str) -> None:
    """No other line counts as a failed login."""
    (tmp_path / "log").write_text(f"2026-11-24 09:00:00,123 {line}\n")
    assert banned(tmp_path / "log") == []
