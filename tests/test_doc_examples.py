"""Every example of the documentation is run: by the tests of its page or by those below; or a reason stands here."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import yaml

from postroom.app.logs import JsonFormatter, LineFormatter
from postroom.app.outside import PROBES
from postroom.storage.database import Database
from tests.demo import ROOT, Shell, commands, running_postroom
from tests.support.commands import ran

pytestmark = pytest.mark.sqlite

_HERE: Final = "tests/test_doc_examples.py"
#: Page -> language of its blocks -> the tests that run them.
RUN_BY: Final = {
    "README": {"console": _HERE},
    "audit": {"json": _HERE, "console": _HERE},
    "backup": {"sh": "tests/test_backup_page.py"},
    "bulk": {"sh": "tests/test_bulk_page.py", "json": "tests/test_bulk_page.py"},
    "cli": {"console": "tests/app/cli/test_cli_page.py"},
    "clients": {
        **dict.fromkeys(["sh", "python", "nginx", "caddy"], "tests/test_clients.py"),
        **dict.fromkeys(["console", "ts", "js", "py", "rb", "yaml"], "tests/support/generators.py"),
    },
    "configuration": {"json": _HERE, "toml": _HERE},
    "directory": {"json": "tests/test_directory_page.py", "ini": _HERE},
    "getting-started": {"sh": "tests/demo.py", "console": _HERE},
    "index": {"console": _HERE},
    "monitoring": {"yaml": _HERE, "ini": _HERE},
    "moving-in": {"json": "tests/test_moving_in_page.py", "csv": "tests/test_moving_in_page.py", "console": _HERE},
    "moving": {"sh": _HERE},
    "performance": {"console": _HERE},
    "replication": {"sh": "tests/app/test_replication.py"},
    "running": {"toml": _HERE, "nginx": "tests/test_packages.py"},
    "security": {"text": _HERE},
    "self-service": {"sh": _HERE},
    "testing": {
        **dict.fromkeys(["python", "yaml"], "tests/test_testing_page.py"),
        **dict.fromkeys(["sh", "js"], "tests/test_testing_examples.py"),
    },
    "tokens": {"sh": "tests/test_tokens_page.py", "json": "tests/test_tokens_page.py"},
    "torture": {"console": _HERE},
    "upgrading": {"sh": "tests/test_upgrading_page.py"},
}
#: (page, begin of a block) -> why no test runs it.
NOT_RUN: Final = {
    ("cli", "postroom login https://mail"): "it asks for a password; tests/app/cli/test_places.py runs it elsewhere",
    ("cli", "postroom device resync"): "nobody has that device; tests/app/cli/test_oof_device_task.py has one",
    ("clients", "$ API="): "the address, which a test sets itself",
    ("configuration", "pip install"): "it needs a server of that name",
    ("directory", "$ curl -X PUT"): "the directories do not exist; tests/demo.py stores the one that it starts",
    ("directory", "$ postroom ldap diff"): "the people do not exist; tests/app/test_ldap_cli.py has others",
    ("directory", "17 * * * *"): "the timer below does the same",
    ("doctor", "$ postroom doctor"): "a shortened report; tests/app/test_doctor_cli.py compares whole ones",
    ("getting-started", "$ API="): "the address, which a test sets itself",
    ("getting-started", "$ postroom ldap test"): "it asks; tests/app/test_ldap_cli.py runs each against a directory",
    ("getting-started", "$ make install"): "it serves for ever",
    ("moving-in", "$ postroom import --from"): "it asks for a password; the tests of app/exchange run it elsewhere",
    ("running", "# python3 -m venv"): "it changes the machine; tests/release.py installs the wheel",
    ("running", "# cp contrib/systemd/postroom-"): "it changes the machine; tests/app/test_systemd.py checks the units",
    ("running", "$ podman build"): "there is no engine for containers; tests/test_packages.py checks the file",
    ("scaling", "postroom serve --workers"): "it serves for ever; tests/app/test_workers.py runs workers",
    ("testing", "[pytest]"): "the settings under which tests/test_testing_page.py runs the others",
    ("testing", "$ postroom serve --ephemeral"): "it serves for ever; examples/testing.sh runs it",
    ("testing", '{"url": '): "the ready file; tests/app/control compares it",
    ("testing", "$ podman run"): "there is no engine for containers",
}
_DRAWINGS: Final = "mermaid"
_HEADERS: Final = '-H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of each block of a page."""
    path = ROOT / "README.md" if page == "README" else ROOT / "docs" / f"{page}.md"
    return re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _pages() -> list[str]:
    return ["README", *sorted(path.stem for path in (ROOT / "docs").glob("*.md"))]


def _here(page: str, language: str) -> Iterator[str]:
    """The blocks that the tests of this file run."""
    for each, text in blocks(page):
        if each == language and _reason(page, text) is None:
            yield text


def _reason(page: str, text: str) -> tuple[str, str] | None:
    return next((key for key in NOT_RUN if key[0] == page and text.startswith(key[1])), None)


def test_every_example_is_run() -> None:
    """A new block needs a test that runs it, or a reason; what is listed here is there."""
    unused = {*NOT_RUN, *((page, language) for page, languages in RUN_BY.items() for language in languages)}
    for page in _pages():
        for language, text in blocks(page):
            if language == _DRAWINGS:
                continue
            key = _reason(page, text) or (page, language)
            assert key in NOT_RUN or language in RUN_BY.get(page, {}), f"{page}: nobody runs this:\n{text}"
            unused.discard(key)
    assert not unused
    for page, languages in RUN_BY.items():
        for file in languages.values():
            assert f"{page}.md" in (ROOT / file).read_text("utf-8") or file == _HERE, (page, file)


@pytest.mark.parametrize("page", ["README", "index", "getting-started", "performance", "torture"])
def test_targets_of_make(page: str) -> None:
    """make knows what to do for each."""
    for line in "".join(_here(page, "console")).splitlines():
        run = subprocess.run(
            ["bash", "-c", line.removeprefix("$ ").replace("make ", "make --dry-run ", 1)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, (line, run.stderr)


@contextmanager
def _logged_in(folder: Path) -> Iterator[tuple[str, Shell]]:
    """A service with the domain example.com, its URL, and a shell that knows a token of the administrator."""
    with running_postroom(folder) as url:
        shell = Shell(folder, API=f"{url}/api/v1")
        shell.run(commands((ROOT / "docs" / "clients.md").read_text("utf-8"))[0][1])
        shell.run(f"""curl -s $API/system/domains {_HEADERS} -d '{{"domainname": "example.com", "maxUser": 9}}'""")
        yield url, shell


def test_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of docs/audit.md shows rows, with the fields of the page."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("POSTROOM_DATABASE", str(tmp_path / "demo.sqlite3"))
    lines = re.findall(r"^\$ (.*)$", "".join(_here("audit", "console")), re.MULTILINE)
    with _logged_in(tmp_path) as (url, shell):
        shell.run(f"""curl -s $API/system/domains {_HEADERS} -d '{{"domainname": "example.org", "maxUser": 9}}'""")
        shell.run(f"""curl -s $API/domains/2/users {_HEADERS} -d '{{"username": "anna", "status": 4}}'""")
        by_name, _, table, by_actor = (
            shell.run(f"cd {tmp_path}; {line.replace('http://localhost:8080', url)}") for line in lines
        )
    (shown,) = _here("audit", "json")
    (row,) = json.loads(by_name)["data"]
    assert set(json.loads(shown)) <= set(row)
    last, *_ = (tmp_path / "audit.ndjson").read_text().splitlines()
    assert json.loads(last) == row
    assert "anna@example.org" in table
    assert "anna@example.org" in by_actor


def test_self_service(tmp_path: Path) -> None:
    """A user logs in as docs/self-service.md says, when the administrator has allowed it as it says."""
    log_in, allow = _here("self-service", "sh")
    bob = '{"username": "bob", "password": "bobs password"}'
    with _logged_in(tmp_path) as (_, shell):
        shell.run(f"curl -s $API/domains/1/users {_HEADERS} -d '{bob}'")
        assert json.loads(shell.run(allow))["selfService"] == ["oof", "devices", "forward"]
        assert "grommunioAuthJwt" in shell.run(log_in)


async def _make_database(name: str) -> None:
    await (await Database.open(name)).close()


def test_moving_in_and_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of docs/moving-in.md and docs/moving.md work; those with a server are tests of storage."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    other_machine = tmp_path / "ssh"
    other_machine.write_text('#!/bin/sh\nshift\nPOSTROOM_DATABASE=old.sqlite3 exec "$@"\n')
    other_machine.chmod(0o755)
    monkeypatch.setenv("POSTROOM_DATABASE", "postroom.sqlite3")
    monkeypatch.chdir(tmp_path)
    for name in ("old", "postroom"):
        asyncio.run(_make_database(f"{name}.sqlite3"))
    Path("other.ndjson").write_text('{"domain": {"domainname": "example.net", "maxUser": 9}}\n')
    assert ran("import", "other.ndjson", "--database", "old.sqlite3").code == 0
    Path("people.ndjson").write_text('{"domain": {"domainname": "example.org", "maxUser": 9}}\n')
    Path("staff.csv").write_text("username,status\ninfo@example.org,4\n")
    out, back = (text.replace("$ ", "").splitlines() for text in _here("moving-in", "console"))
    (move,) = _here("moving", "sh")
    shell = Shell(tmp_path)
    Path("moved").mkdir()
    for line in [*back, "rm people.ndjson", *out, move.splitlines()[0].replace("/srv/postroom", "moved")]:
        shell.run(f"cd {tmp_path}; {line}")
    assert '"info@example.org"' in ran("export", "--database", "moved/postroom.sqlite3").out


@pytest.mark.parametrize("page", ["configuration", "running"])
def test_settings(page: str, tmp_path: Path) -> None:
    """A settings file of a page is read."""
    for text in _here(page, "toml"):
        (tmp_path / "postroom.toml").write_text(text)
        done = ran("--config", str(tmp_path / "postroom.toml"), "config", "check")
        assert done.code == 0, done


def test_lines_of_the_log() -> None:
    """The lines of docs/configuration.md and docs/security.md look like those of the service."""
    record = logging.LogRecord(
        "postroom.logins", logging.WARNING, "", 0, 'Login failed from %s for "x"', ("::1",), None
    )
    (shown,) = _here("configuration", "json")
    assert list(json.loads(shown)) == list(json.loads(JsonFormatter().format(record)))
    (line,) = _here("security", "text")
    pattern = r"\S+ \S+ WARNING postroom.logins \[\S+\]: Login failed from \S+ for \"\S+\"\n?"
    assert re.fullmatch(pattern, line)
    assert re.fullmatch(pattern, LineFormatter().format(record))


def test_probes() -> None:
    """What watches the service asks for paths that there are."""
    paths = {route.path for route in PROBES}
    _, kubernetes, compose = (yaml.safe_load(text) for text in _here("monitoring", "yaml"))
    assert {probe["httpGet"]["path"] for probe in kubernetes.values()} == paths
    asked = " ".join(compose["healthcheck"]["test"]) + "".join(_here("monitoring", "ini"))
    assert set(re.findall(r"127.0.0.1:8080(/\w+)", asked)) == paths


def test_scrapes(tmp_path: Path) -> None:
    """Prometheus takes the settings of the page."""
    first, *_ = _here("monitoring", "yaml")
    (tmp_path / "prometheus.yml").write_text(first)
    rules = ROOT / "docs" / "monitoring" / "postroom.rules.yml"
    (tmp_path / rules.name).write_text(rules.read_text("utf-8"))
    run = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_units(tmp_path: Path) -> None:
    """systemd takes the unit and the timer of docs/directory.md."""
    service, timer = _here("directory", "ini")
    program = Path(sys.executable).with_name("postroom")
    (tmp_path / "sync.service").write_text(
        re.sub(r"ExecStart=\S+", f"ExecStart={program}", service).replace("User=postroom", "User=root")
    )
    (tmp_path / "sync.timer").write_text(timer)
    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "sync.service", tmp_path / "sync.timer"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
