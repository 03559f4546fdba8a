"""The five minutes of docs/getting-started.md work as written."""

import subprocess
import sys

import pytest

from tests.demo import PAGE, ROOT

pytestmark = pytest.mark.slapd


def slapds() -> set[str]:
    """Command lines of the directory servers on the port of the demo; other tests have theirs on other ports."""
    command = ["pgrep", "-af", "^[^ ]*slapd .*:3890"]
    return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines())


def test_demo_walks_the_page() -> None:
    """Every command of the five minutes works, ends with a user updated from LDAP, and leaves nothing running."""
    before = slapds()
    result = subprocess.run(
        [sys.executable, "-m", "tests.demo"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    page = PAGE.read_text("utf-8")
    assert f"{page.count('```sh')} of {page.count('```sh')}" in result.stdout
    last = result.stdout.rpartition("downsync")[2]
    assert '"displayname": "Anna Schmidt"' in last
    assert '"magic": 99' in last
    assert "Traceback" not in result.stderr
    assert slapds() <= before


def test_page_and_the_throw_away_directory_agree() -> None:
    """The port and the password on the page are those of `make directory`."""
    page = PAGE.read_text("utf-8")
    directory = (ROOT / "tests" / "directory.py").read_text("utf-8")
    assert "ldap://127.0.0.1:3890" in page
    assert "3890" in directory
    assert "make directory" in page
