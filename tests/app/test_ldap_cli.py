"""`postroom ldap ...`: the installed command, a real directory and a real database file."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from postroom.app.config import Config
from postroom.app.wiring import opened
from postroom.storage import domains, ldap_configs, orgs, tasks
from postroom.storage.ldap_configs import LdapConfigRow
from postroom.storage.sqlite import sqlite3
from tests.conftest import StartService
from tests.support.damage import damage
from tests.support.owners import elsewhere
from tests.support.service import ADMIN_PASSWORD
from tests.support.slapd import PEOPLE_DN, Slapd, config_document, people_ldif

pytestmark = pytest.mark.slapd
POSTROOM = Path(sys.executable).with_name("postroom")
MANY = 300


@dataclass
class Store:
    """A database file, and the command on it."""

    path: Path

    def run(self, *arguments: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs a command without a terminal; it has to end with the code, tell no secret and show no traceback."""
        done = subprocess.run(
            [POSTROOM, "ldap", *arguments],
            env=self.environ(**environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        shown = done.stdout + done.stderr
        assert done.returncode == code, shown
        assert "Traceback" not in shown
        assert "secret" not in shown
        assert "\x1b" not in shown
        return done

    def environ(self, **environ: str) -> dict[str, str]:
        """The environment of the command."""
        return {"PATH": os.environ["PATH"], "POSTROOM_DATABASE": str(self.path), **environ}

    def query(self, sql: str) -> list[Any]:
        """The rows of a statement."""
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def execute(self, sql: str) -> None:
        """One statement, past everything that postroom sees to."""
        connection = sqlite3.connect(self.path)
        try:
            connection.execute(sql)
        finally:
            connection.close()

    def usernames(self) -> list[str]:
        """Everybody who is stored but the administrator."""
        return [row[0] for row in self.query("SELECT username FROM users WHERE id > 0 ORDER BY id")]

    def write(self, function: Callable[..., Any], *args: Any) -> Any:
        """One transaction, as the service would do it."""

        async def write() -> Any:
            async with opened(Config(database=str(self.path))) as context:
                return await context.database.write(function, *args)

        return asyncio.run(write())

    def configure(self, server: Slapd, org_id: int | None = None, **changes: Any) -> None:
        """Stores a configuration with other values, such as `users__filter`, untried."""
        document = config_document(server)
        for path, value in changes.items():
            parent, _, name = path.rpartition("__")
            (document[parent] if parent else document)[name] = value
        password = document["connection"].pop("bindPass")
        self.write(ldap_configs.set_ldap_config, org_id, LdapConfigRow(document, password))

    def add_domain(self, name: str, **fields: Any) -> int:
        """The ID of a new domain."""
        return int(self.write(domains.insert_domain, name, name, {"maxUser": 1000, **fields}))


@pytest.fixture(scope="module")
def directory() -> Iterator[Slapd]:
    """A directory of a few hundred people, for tests that leave it as it is."""
    with Slapd() as server:
        server.add(people_ldif(MANY))
        yield server


@pytest.fixture
def small() -> Iterator[Slapd]:
    """A directory of a dozen people, to do with what one likes."""
    with Slapd() as server:
        server.add(people_ldif(12))
        yield server


@pytest.fixture
def bare(tmp_path: Path) -> Store:
    """A database with a domain example.com and no directory."""
    store = Store(tmp_path / "postroom.sqlite3")
    store.add_domain("example.com")
    return store


@pytest.fixture
def store(bare: Store, directory: Slapd) -> Store:
    """The same with the directory of many."""
    bare.configure(directory)
    return bare


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one document of --json."""
    document: dict[str, Any] = json.loads(done.stdout)
    assert document.keys() == {"message", "data"}
    return document


@pytest.mark.parametrize("arguments", [["test"], ["search", "anna"], ["diff"], ["sync"], ["import", "x"]], ids=str)
@pytest.mark.parametrize(("schema", "said"), [(1, "older version"), (9999, "newer version")])
def test_no_command_touches_the_schema(tmp_path: Path, arguments: list[str], schema: int, said: str) -> None:
    """A database of another version, on which a service of that version may be running, is refused and left alone."""
    store = Store(tmp_path / "postroom.sqlite3")
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        connection.executescript((Path(__file__).parents[1] / "data" / "schema_0001.sql").read_text("utf-8"))
        connection.execute(f"PRAGMA user_version = {schema}")
    before = store.path.read_bytes()
    done = store.run(*arguments, code=2)
    assert said in done.stderr
    assert store.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["postroom.sqlite3"]


def test_trial_shows_what_is_asked_and_one_entry(store: Store, directory: Slapd) -> None:
    """`test` names server, bind DN and base DN, counts the first page and shows an entry as a user."""
    shown = store.run("test").stdout
    for part in (directory.url, directory.bind_dn, PEOPLE_DN, "200 or more", "juergen.mueller@example.com", "Müller"):
        assert part in shown


def test_trial_shows_no_password_that_is_mapped(bare: Store, small: Slapd) -> None:
    """An attribute that holds passwords is not shown, even where it is mapped to a property."""
    small.modify(f"dn: uid=anna.schmidt,{PEOPLE_DN}\nchangetype: modify\nreplace: userPassword\nuserPassword: hush\n")
    bare.configure(small, users__attributes={"userPassword": "comment"}, users__filter="(uid=anna.schmidt)")
    shown = bare.run("test").stdout
    assert "anna.schmidt@example.com" in shown
    assert "hush" not in shown


@pytest.mark.parametrize("users__filter", ["(uid=nobody)", "(objectClass=organizationalUnit)"])
def test_trial_of_filters_that_find_no_user(bare: Store, directory: Slapd, users__filter: str) -> None:
    """Nobody found, and nobody usable, are said so, and are no failure."""
    bare.configure(directory, users__filter=users__filter)
    done = bare.run("test")
    assert "find nobody" in done.stderr or "None of them can become a user" in done.stderr


@pytest.mark.parametrize("command", [["test"], ["search", "anna"], ["diff"], ["sync"], ["import", "x"]])
def test_no_configuration(bare: Store, command: list[str]) -> None:
    """Without a configured directory every command says so, and where to configure it: trying again is no use."""
    done = bare.run(*command, code=2)
    assert "No LDAP directory is configured" in done.stderr
    assert "/system/mconf/ldap" in done.stderr


@pytest.mark.parametrize("command", [["test"], ["search", "anna"], ["diff"], ["sync"], ["import", "x"]])
def test_directory_away(bare: Store, command: list[str]) -> None:
    """A directory that is away is code 3, and is named."""
    away = Slapd()
    away.port = 1
    bare.configure(away)
    assert "ldap://127.0.0.1:1" in bare.run(*command, code=3).stderr


@pytest.mark.parametrize("command", [["test"], ["search", "anna"], ["diff"], ["sync"]])
def test_wrong_password(bare: Store, directory: Slapd, command: list[str]) -> None:
    """A refused login is a matter of the configuration; the password is not shown."""
    bare.configure(directory, connection__bindPass="hush hush")
    done = bare.run(*command, code=2)
    assert "refuses the bind user or its password" in done.stderr
    assert "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", [["test"], ["search", "anna"], ["diff"], ["sync"], ["import", "x"]])
def test_missing_database(tmp_path: Path, command: list[str]) -> None:
    """A file that is not there is refused with the way to make one, and is not made."""
    done = Store(tmp_path / "typo.sqlite3").run(*command, code=2)
    assert str(tmp_path / "typo.sqlite3") in done.stderr
    assert "postroom init" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """Some other file is named with the reason and left alone."""
    (tmp_path / "letter.txt").write_text("Dear Anna, " * 100)
    assert "not a database" in Store(tmp_path / "letter.txt").run("diff", code=3).stderr
    assert (tmp_path / "letter.txt").read_text() == "Dear Anna, " * 100


def test_locked_database(store: Store) -> None:
    """A database in which somebody else keeps writing is code 3."""
    store.run("sync")
    lock = sqlite3.connect(store.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        assert "locked" in store.run("sync", code=3).stderr
    finally:
        lock.close()


def test_damaged_database(store: Store) -> None:
    """A database whose pages are damaged is code 3, in SQLite's words and with what to look at."""
    damage(store.path, "ldap_configs")
    failed = store.run("search", "anna", code=3).stderr
    assert "malformed" in failed
    assert "no other program locks the file" in failed


def test_fault_of_the_program(store: Store) -> None:
    """A wrong statement is code 70 and a place in the program, not a hint at who else might use the file."""
    store.execute("ALTER TABLE orgs RENAME COLUMN key TO gone")
    failed = store.run("search", "anna", "--org", "Acme", code=70).stderr
    assert "This is a bug in postroom" in failed
    assert "no other program" not in failed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["sync", "--domain", "nowhere.example"], "nowhere.example"),
        (["diff", "--domain", "a b"], "a b"),
        (["search", "anna", "--org", "Nobody Ltd"], "Nobody Ltd"),
        (["sync", "--domain", "example.com", "--org", "x"], "not both"),
        (["search", "an"], "3 characters"),
        (["search", "anna", "--limit", "0"], "--limit"),
        (["sync", "--lang", "x" * 40], "32 characters"),
        (["import", "\\zz"], "hexadecimal"),
        (["import", "no-such-object"], "no\\2dsuch\\2dobject"),
        (["sync", "--nonsense"], "--nonsense"),
    ],
)
def test_what_cannot_be_asked(store: Store, arguments: list[str], named: str) -> None:
    """Wrong usage and unknown names are code 2, and are named; nothing is stored."""
    assert named in store.run(*arguments, code=2).stderr
    assert store.usernames() == []


def test_bad_setting(store: Store) -> None:
    """A setting that cannot be used is named."""
    assert "POSTROOM_LDAP_TIMEOUT" in store.run("diff", code=2, POSTROOM_LDAP_TIMEOUT="soon").stderr


def test_empty_directory(bare: Store) -> None:
    """A directory without entries has nothing to do, and says that it is empty."""
    with Slapd() as server:
        bare.configure(server)
        assert "has no entries" in bare.run("diff", "--import").stdout
        assert "has no entries" in bare.run("sync", "--import").stdout
        assert "Nobody was found" in bare.run("search", "anna").stderr


def test_search_shows_a_table(store: Store) -> None:
    """Object ID, name, address and type stand in a line, at most as many as asked for."""
    first, *lines = store.run("search", "schmidt", "--limit", "2").stdout.splitlines()
    assert first.split() == ["OBJECT", "ID", "NAME", "ADDRESS", "TYPE"]
    assert len(lines) == 2
    assert all(re.match(r"[0-9a-f\\]+ +\S+ Schmidt +\S+\.schmidt@example\.com +user", line) for line in lines)


def test_search_tells_why_not(bare: Store, directory: Slapd) -> None:
    """With --all also those who cannot be imported are shown, with the reason; without, they are not."""
    bare.configure(directory)
    bare.write(domains.delete_domain, 1)
    bare.add_domain("example.org")
    assert bare.run("search", "anna.schmidt").stdout == ""
    assert "There is no domain example.com" in bare.run("search", "anna.schmidt", "--all").stdout


def test_dry_run_changes_nothing(store: Store) -> None:
    """`diff` shows everybody it would create, ends with 1, and leaves every user as it was."""
    done = store.run("diff", "--import", code=1)
    lines = done.stdout.splitlines()
    assert sum(line.startswith("+ ") for line in lines) == MANY
    assert lines[-1] == f"{MANY} to create"
    assert store.usernames() == []


def test_many(store: Store) -> None:
    """A sync creates hundreds, counts them and names its task; another one finds nothing to do, and so does diff."""
    done = store.run("sync", "--import")
    assert re.search(rf"created +{MANY}\n", done.stdout)
    assert re.search(r"Task \d+: Done: 300 created", done.stdout)
    assert len(store.usernames()) == MANY
    assert f"{MANY} unchanged" in store.run("sync", "--import").stdout
    assert f"{MANY} unchanged" in store.run("diff", "--import").stdout


def test_updates_show_before_and_after(bare: Store, small: Slapd) -> None:
    """Of a changed user each field is shown as before -> after, and what was left out; of others the number."""
    bare.configure(small)
    bare.run("sync", "--import")
    small.modify(
        f"dn: uid=anna.schmidt,{PEOPLE_DN}\nchangetype: modify\nreplace: title\ntitle: Head of sales\n-\n"
        "add: mailAlias\nmailAlias: anna@foreign.example\n"
    )
    first, title, left_out, last = bare.run("diff", code=1).stdout.splitlines()
    assert first == "~ anna.schmidt@example.com"
    assert title == "    title: Bookkeeper -> Head of sales"
    assert left_out.startswith("    The alias anna@foreign.example was left out")
    assert last == "1 to update, 11 unchanged"


def test_missing_objects(bare: Store, small: Slapd) -> None:
    """A user whose object is gone is skipped with a reason (code 1), and unlinked when asked for; too many are not."""
    bare.configure(small)
    bare.run("sync", "--import")
    small.delete(f"uid=anna.schmidt,{PEOPLE_DN}")
    assert "! anna.schmidt@example.com  The object is no longer" in bare.run("sync", code=1).stdout
    assert bare.run("diff", "--unlink", code=1).stdout.startswith("- anna.schmidt@example.com  ")
    small.delete(f"uid=soren.aero,{PEOPLE_DN}")
    done = bare.run("sync", "--unlink", code=2)
    assert "2 of 12 linked users" in done.stderr
    assert "--force" in done.stderr
    assert bare.query("SELECT count(*) FROM users WHERE ldap_id IS NOT NULL") == [(12,)]
    assert "unlinked" in bare.run("sync", "--unlink", "--force").stdout
    assert bare.query("SELECT count(*) FROM users WHERE ldap_id IS NOT NULL") == [(10,)]


def test_long_list_of_skipped_entries(bare: Store, directory: Slapd) -> None:
    """Twenty skipped entries are shown with their reasons, of the others how many there are; the code is 1."""
    bare.configure(directory, users__username="cn")
    lines = bare.run("sync", "--import", code=1).stdout.splitlines()
    assert sum(line.startswith("! ") and "no e-mail address" in line for line in lines) == 20
    assert f"... and {MANY - 20} more" in lines


def test_only_one_domain(store: Store) -> None:
    """--domain takes any spelling of the name and leaves other domains alone; --org is the same for its domains."""
    org_id = store.write(orgs.insert_org, "Näme Ltd", None)
    store.add_domain("bücher.example".encode("idna").decode(), orgID=org_id)
    assert "to create" not in store.run("diff", "--import", "--domain", "BÜCHER.example").stdout
    assert "to create" not in store.run("diff", "--import", "--org", "näme ltd").stdout
    assert f"{MANY} to create" in store.run("diff", "--import", "--domain", "Example.COM", code=1).stdout


def test_the_domains_without_an_organisation(store: Store) -> None:
    """--org 0 stands for the domains without one, unless an organisation is called so."""
    store.add_domain("bücher.example".encode("idna").decode(), orgID=store.write(orgs.insert_org, "Org", None))
    assert f"{MANY} to create" in store.run("diff", "--import", "--org", "0", code=1).stdout
    store.run("test", "--org", "0")
    (person,) = summary(store.run("search", "anna.schmidt@", "--org", "0", "--json"))["data"]
    store.run("import", person["ID"], "--org", "0")
    assert store.usernames() == ["anna.schmidt@example.com"]
    store.write(orgs.insert_org, "0", None)
    assert "to create" not in store.run("diff", "--import", "--org", "0").stdout


def test_import_of_one(store: Store) -> None:
    """`import` creates the user of an object, spelt either way, and shows the user's ID; again, it updates them."""
    (person,) = summary(store.run("search", "anna.schmidt@", "--json"))["data"]
    assert store.run("import", person["ID"]).stdout.startswith(
        "Created user 1: anna.schmidt@example.com (Anna Schmidt)"
    )
    assert store.run("import", person["ID"].replace("\\2d", "-")).stdout.startswith("Updated user 1: ")
    assert store.usernames() == ["anna.schmidt@example.com"]


def test_import_over_a_user_of_that_name(store: Store) -> None:
    """A user of that name who is not linked is a conflict that names --force, which links them."""
    (person,) = summary(store.run("search", "anna.schmidt@", "--json"))["data"]
    store.run("import", person["ID"])
    store.write(lambda connection: connection.execute("UPDATE users SET ldap_id = NULL WHERE id > 0"))
    done = store.run("import", person["ID"], code=2)
    assert "--force links them" in done.stderr
    assert "Updated user 1" in store.run("import", person["ID"], "--force").stdout


@pytest.mark.parametrize("arguments", [["search", "schmidt"], ["diff", "--import"], ["sync", "--import"]])
def test_json_is_one_document(store: Store, arguments: list[str]) -> None:
    """--json prints a message and the data, in ASCII, and nothing for people beside it."""
    done = store.run(*arguments, "--json", code=1 if "diff" in arguments else 0)
    assert len(summary(done)["data"]) >= 2
    assert done.stdout.isascii()
    assert done.stderr == ""


def test_json_of_a_failure(bare: Store) -> None:
    """A failure is one document, too, and is told on stderr as well."""
    done = bare.run("sync", "--json", code=2)
    assert "No LDAP directory" in summary(done)["message"]
    assert "No LDAP directory" in done.stderr


def test_what_a_terminal_would_obey(bare: Store, small: Slapd) -> None:
    """Markup in a name is shown as it is; escapes, line breaks and right-to-left overrides do not get through."""
    bare.configure(small)
    bare.run("sync", "--import")
    title = "[red]\x1b[31m\x1b]0;title\x07\u202e\x9b1m\nover 日本 [/nonsense]"
    small.modify(
        f"dn: uid=anna.schmidt,{PEOPLE_DN}\nchangetype: modify\n"
        f"replace: title\ntitle:: {b64encode(title.encode()).decode()}\n-\n"
        "replace: displayName\ndisplayName: [bold]Anna[/bold]\n"
    )
    shown = bare.run("diff", code=1).stdout
    assert "-> [red]?[31m?]0;title???1m over 日本 [/nonsense]\n" in shown
    assert "-> [bold]Anna[/bold]\n" in shown
    assert "[bold]Anna[/bold]" in bare.run("search", "anna").stdout
    assert "\x9b" not in bare.run("diff", "--json", code=1).stdout


def test_a_terminal_that_knows_no_umlaut(store: Store) -> None:
    """What the output cannot spell is replaced, and no reason to stop."""
    assert "J?rgen Schmidt" in store.run("search", "schmidt", PYTHONIOENCODING="ascii").stdout


def test_nobody_reads_on(store: Store) -> None:
    """A pipe that is closed early ends the command without a word."""
    with subprocess.Popen(
        [POSTROOM, "ldap", "diff", "--import"],
        env=store.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


async def test_beside_a_running_service(bare: Store, small: Slapd, start_service: StartService) -> None:
    """A service on the same file has the users at once, and shows the task; its own tasks are left alone."""
    await asyncio.to_thread(bare.configure, small)
    service = await start_service(database=str(bare.path))
    admin = await service.login("admin", ADMIN_PASSWORD)
    others = await service.context.database.write(
        tasks.insert_task, "x", {}, None, elsewhere(), 0, service.context.now()
    )
    await asyncio.to_thread(bare.run, "sync", "--import")
    assert (await admin.get("/domains/1/users"))["count"] == 12
    listed = (await admin.get("/tasq/tasks"))["data"]
    assert [(task["command"], task["state"]) for task in listed] == [("x", 0), ("ldapSync", 3)]
    assert listed[0]["ID"] == others


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(bare: Store, small: Slapd, number: int) -> None:
    """A signal while the second directory is silent ends the task as cancelled; what was done is told, and stays."""
    bare.configure(small)
    with Slapd() as silent:
        bare.configure(silent, bare.write(orgs.insert_org, "Silent", None))
        bare.add_domain("silent.example", orgID=1)
        silent.pause()
        with subprocess.Popen(
            [POSTROOM, "ldap", "sync", "--import", "--json"],
            env=bare.environ(POSTROOM_LDAP_TIMEOUT="100"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            until(lambda: bare.query("SELECT count(*) FROM task_items") == [(12,)])
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "12 created" in err
    assert "Traceback" not in err
    assert len(json.loads(out)["data"]) == 12
    assert bare.query("SELECT state, message FROM tasks") == [(5, "Cancelled")]
    assert len(bare.usernames()) == 12
    assert bare.query("PRAGMA integrity_check") == [("ok",)]


def test_cancelled_by_somebody_else(bare: Store) -> None:
    """A task that is cancelled over the API, while it waits for a silent directory, ends the command with 130."""
    with Slapd() as silent:
        bare.configure(silent)
        silent.pause()
        with subprocess.Popen(
            [POSTROOM, "ldap", "sync"],
            env=bare.environ(POSTROOM_LDAP_TIMEOUT="100"),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            until(lambda: bare.query("SELECT state FROM tasks") == [(2,)])
            bare.write(lambda connection: connection.execute("UPDATE tasks SET state = 5") and None)
            silent.resume()
            _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted" in err


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that has to happen soon."""
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, store: Store, *arguments: str, **environ: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [POSTROOM, "ldap", *arguments],
            env=store.environ(TERM="xterm", COLUMNS="100", LINES="40", **environ),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def read(self, awaited: str = "") -> str:
        """What is shown until something is; without it until the end."""
        while not awaited or awaited not in self.shown:
            try:
                part = os.read(self.master, 4096)
            except OSError:  # the end, on Linux
                break
            self.shown += part.decode()
        return self.shown

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self.master, text.encode())

    def end(self) -> int:
        """The exit code."""
        self.read()
        os.close(self.master)
        return self.process.wait(timeout=20)


@pytest.mark.parametrize(("answer", "code", "users"), [("y\n", 0, 12), ("n\n", 130, 0), ("\x04", 130, 0)])
def test_asks_on_a_terminal(bare: Store, small: Slapd, answer: str, code: int, users: int) -> None:
    """On a terminal the plan is counted before anything is done, and only yes goes on."""
    bare.configure(small)
    terminal = Terminal(bare, "sync", "--import")
    assert "12 to create" in terminal.read("Go ahead?")
    assert bare.usernames() == []
    terminal.type(answer)
    assert terminal.end() == code
    assert len(bare.usernames()) == users
    assert "Traceback" not in terminal.shown


def test_does_not_ask_for_nothing(bare: Store, small: Slapd) -> None:
    """With --yes, and with nothing to change, a terminal is not asked."""
    bare.configure(small)
    for arguments in (["sync"], ["sync", "--import", "--yes"], ["sync", "--import"]):
        terminal = Terminal(bare, *arguments)
        assert terminal.end() == 0
        assert "Go ahead?" not in terminal.shown
    assert len(bare.usernames()) == 12


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}])
def test_colour(bare: Store, small: Slapd, environ: dict[str, str]) -> None:
    """A terminal gets colours, unless NO_COLOR is set."""
    bare.configure(small)
    terminal = Terminal(bare, "diff", "--import", **environ)
    assert terminal.end() == 1
    assert ("\x1b[32m+ anna.schmidt@example.com" in terminal.shown) == (not environ)
    assert "+ anna.schmidt@example.com" in terminal.shown


@pytest.mark.parametrize("command", [[], ["test"], ["search"], ["diff"], ["sync"], ["import"]])
def test_help_has_examples_and_codes(bare: Store, command: list[str]) -> None:
    """Each --help shows what to type and what the exit codes mean."""
    shown = bare.run(*command, "--help").stdout
    assert f"postroom ldap {' '.join(command)}" in shown
    assert "Exit codes:" in shown
    assert "130" in shown


def test_help_loads_nothing_heavy() -> None:
    """The command line alone imports neither the service nor what the directory and the terminal need."""
    script = "import sys, postroom.app.cli.main; print([n for n in sys.modules if n.split('.')[0] in sys.argv[1:]])"
    heavy = ["aiohttp", "asyncio", "bonsai", "marshmallow", "rich", "sqlite3"]
    done = subprocess.run([sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
