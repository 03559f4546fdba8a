"""postroom doctor: what it prints, how it ends, and that it disturbs nobody. tests/storage/checks has what it finds."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from tests.app.test_cli import POSTROOM, logs_in, serving
from tests.support.damage import damage
from tests.support.postgresql import PASSWORD, PostgreSQL
from tests.support.stores import Store, make_whole

pytestmark = pytest.mark.sqlite

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with something in every table."""
    return make_whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Store:
    """A copy of it in a folder of its owner alone."""
    (tmp_path / "data").mkdir(0o700)
    return Store.copied(whole, tmp_path / "data")


def doctor(*arguments: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    """What the command prints; it has to end with that code."""
    result = subprocess.run(
        [POSTROOM, "doctor", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code, result
    return result


def test_one_page(store: Store) -> None:
    """A line for each check below the name of its group, and at the end how many there are."""
    page = doctor("--offline", "--database", store.name).stdout
    assert re.search(r"^Names\n  ok       usernames +Each user has one username", page, re.MULTILINE)
    assert re.fullmatch(r"Examined \d+: \d+ ok, \d warnings, 0 wrong\.", page.splitlines()[-1])
    assert len(page.splitlines()) < 80


def test_something_wrong(store: Store) -> None:
    """What was found, a few examples, and what to do; a repair says what it has done."""
    store.plant("UPDATE domains SET virtual_users = 7")
    page = doctor("--offline", "--database", store.name, code=1).stdout
    assert re.search(r"wrong +user counts +Domains whose numbers of users are wrong: 2\n +bücher|xn--", page)
    assert "What to do: --repair counts them again" in page
    page = doctor("--offline", "--database", store.name, "--repair").stdout
    assert "Repaired: 2" in page
    doctor("--offline", "--database", store.name)


def test_json(store: Store) -> None:
    """One document for scripts, with everything that the page has."""
    store.plant("UPDATE domains SET virtual_users = 7 WHERE id = 1")
    document: dict[str, Any] = json.loads(doctor("--json", "--offline", "--database", store.name, code=1).stdout)
    (found,) = (each for each in document["data"] if each["state"] == "wrong")
    assert found == {
        "group": "Counters", "name": "user counts", "state": "wrong", "count": 1, "repaired": 0,
        "message": "Domains whose numbers of users are wrong: 1", "examples": ["example.org"], "advice": ANY,
    }  # fmt: skip
    assert "1 wrong" in document["message"]


def test_what_cannot_be_examined(tmp_path: Path) -> None:
    """The reason is one line, and the code another than that of a fault."""
    failed = doctor("--json", "--database", str(tmp_path / "nothing"), code=2)
    assert json.loads(failed.stdout) == {"message": ANY, "data": None}
    (line,) = failed.stderr.splitlines()
    assert line == f"postroom: There is no database {tmp_path / 'nothing'}"
    assert "belongs to a single process" in doctor("--database", ":memory:", code=2).stderr


def test_settings_that_cannot_be_used(store: Store) -> None:
    """They are wrong; a database that is named is examined all the same."""
    alone = doctor(POSTROOM_PORT="many", code=1).stdout
    assert "POSTROOM_PORT: 'many' is not a whole number" in alone
    assert "usernames" not in alone
    assert "usernames" in doctor("--offline", "--database", store.name, POSTROOM_PORT="many", code=1).stdout


def test_a_damaged_file(store: Store) -> None:
    """The way out is a backup."""
    damage(Path(store.name), "fetchmail")
    page = doctor("--offline", "--database", store.name, "--repair", code=1).stdout
    assert re.search(r"wrong +file .*\n(.*\n)* +What to do: The file is damaged: .* restore a backup", page)


def test_text_that_would_steer_a_terminal(store: Store) -> None:
    """Names in the database are shown without what a terminal would interpret."""
    store.plant("UPDATE domains SET domainname = 'a' || char(27) || '[31mred', virtual_users = 7 WHERE id = 1")
    assert "\x1b" not in doctor("--offline", "--database", store.name, code=1).stdout


def test_no_secret_is_shown(store: Store) -> None:
    """Neither a hash nor an encrypted secret, whatever is wrong."""
    keys = Path(store.key_file).read_text().split()[-1]
    store.plant(
        "UPDATE fetchmail SET src_password = (SELECT src_password FROM fetchmail WHERE id = 1)",
        "UPDATE users SET password = (SELECT password FROM users WHERE id = 0) WHERE id = 2",
        "UPDATE ldap_configs SET document = 'bind secret'",
    )
    text = doctor("--offline", "--json", "--database", store.name, code=1).stdout
    assert '"wrong"' in text
    assert not [secret for secret in ("sealed:", "$argon2", "bind secret", keys) if secret in text]


def test_beside_a_service(tmp_path: Path) -> None:
    """A service that runs is examined, and repaired, while it goes on."""
    (tmp_path / "data").mkdir(0o700)
    with serving(tmp_path / "data", POSTROOM_ADMIN_PASSWORD="secret") as running:
        path = str(tmp_path / "data" / "postroom.sqlite3")
        doctor("--database", path)
        doctor("--database", path, "--repair")
        assert logs_in(running, "secret")
        assert running.stop() == 0
    doctor("--database", path)


def test_after_a_kill(tmp_path: Path) -> None:
    """What a killed service has left in its log is examined as well, and stays there."""
    (tmp_path / "data").mkdir(0o700)
    with serving(tmp_path / "data", POSTROOM_ADMIN_PASSWORD="secret") as running:
        running.process.kill()
        running.process.communicate()
    log = tmp_path / "data" / "postroom.sqlite3-wal"
    before = log.read_bytes()
    assert before
    doctor("--database", str(tmp_path / "data" / "postroom.sqlite3"))
    assert log.read_bytes() == before


@pytest.mark.postgresql
def test_a_server(whole: Path, tmp_path: Path) -> None:
    """A PostgreSQL database is named by POSTROOM_DATABASE; no output has its password."""
    with PostgreSQL(tcp=True) as server:
        store = Store.copied(whole, tmp_path, server)
        url = server.tcp_url(store.name.split("@/")[1].split("?")[0])
        result = doctor("--offline", POSTROOM_DATABASE=url, POSTROOM_KEY_FILE=store.key_file)
        assert "0 wrong" in result.stdout
        assert PASSWORD not in result.stdout + result.stderr
    result = doctor("--offline", POSTROOM_DATABASE=url, POSTROOM_KEY_FILE=store.key_file, code=3)
    assert PASSWORD not in result.stdout + result.stderr


def test_every_check_is_described(store: Store) -> None:
    """docs/doctor.md has a row for each check, in its group, and none besides."""
    document = json.loads(doctor("--json", "--offline", "--database", store.name).stdout)
    named = {(each["group"], each["name"]) for each in document["data"]} | {
        ("Directories", "directory servers"), ("Machine", "settings")
    }  # fmt: skip
    described, group = set(), ""
    for line in PAGE.read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"### (\w+)", line):
            group = heading[1]
        elif row := re.match(r"\| `([\w ]+)` \|", line):
            described.add((group, row[1]))
    assert described == named
