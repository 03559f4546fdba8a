"""The five minutes of the README work as written."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slapd


def slapds() -> set[str]:
    """Command lines of the directory servers on the port of the demo; other tests have theirs on other ports."""
    command = ["pgrep", "-af", "^[^ ]*slapd .*:3890"]
    return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines())


def test_demo_walks_the_readme() -> None:
    """Every command of the five minutes works, ends with a user updated from LDAP, and leaves nothing running."""
    before = slapds()
    result = subprocess.run(
        [sys.executable, "-m", "tests.demo"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"{readme.count('```sh')} of {readme.count('```sh')}" in result.stdout
    last = result.stdout.rpartition("downsync")[2]
    assert '"displayname": "Anna Schmidt"' in last
    assert '"magic": 99' in last
    assert "Traceback" not in result.stderr
    assert slapds() <= before


def test_readme_and_the_throw_away_directory_agree() -> None:
    """The port and the password in the README are those of `make directory`."""
    readme = (ROOT / "README.md").read_text("utf-8")
    directory = (ROOT / "tests" / "directory.py").read_text("utf-8")
    assert "ldap://127.0.0.1:3890" in readme
    assert "3890" in directory
    assert "make directory" in readme
