"""postroom import: what is stored, what is refused and kept, and how the command ends."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from postroom.app.exchange import exporting
from postroom.app.services.imports import Given, Import
from postroom.storage.database import Database
from tests.app.test_cli import POSTROOM
from tests.conftest import StartService
from tests.support.commands import Ran, ran
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD
from tests.support.waiting import until
from tests.support.whole_store import fill

pytestmark = pytest.mark.sqlite

LINES: list[dict[str, Any]] = [
    {"organisation": "Acme"},
    {"domain": {"domainname": "example.org", "organisation": "Acme", "maxUser": 10}},
    {"role": {"name": "helpers", "permissions": [{"DomainAdmin": "example.org"}]}},
    {"user": {"username": "anna@example.org", "roles": ["helpers"], "storeAccess": ["paul@example.org"],
              "passwordHash": "{SSHA}6PvqO4RV5G4cMl1f9594nAkXNZF2COHp"}},
    {"user": {"username": "paul@example.org", "aliases": ["office@example.org"], "delegates": ["anna@example.org"]}},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty database."""

    async def make() -> None:
        await (await Database.open(str(tmp_path / "postroom.sqlite3"))).close()

    asyncio.run(make())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, lines: Sequence[Any]) -> None:
    """A file of lines."""
    Path(name).write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines))


def users() -> list[str]:
    """The usernames that are stored."""
    lines = map(json.loads, ran("export").out.splitlines())
    return [line["user"].get("username") for line in lines if "user" in line]


def test_everything_is_stored(folder: Path) -> None:
    """Whoever is named may come later; the summary counts, and says who cannot log in yet."""
    write("people.ndjson", LINES)
    done = ran("import", "people.ndjson", "--json")
    assert done.code == 0, done
    assert done.document == {
        "message": "Stored 1 organisation, 1 domain, 1 role, 2 users; 0 refused. 1 user cannot log in yet: "
        "postroom user passwd sets a password",
        "data": {
            "stored": {"organisation": 1, "domain": 1, "role": 1, "user": 2},
            "refused": 0,
            "withoutPassword": 1,
            "rejected": None,
        },
    }
    again = ran("export", "--secrets").out
    assert '"storeAccess":["paul@example.org"]' in again
    assert '"delegates":["anna@example.org"]' in again
    assert sorted(path.name for path in folder.iterdir() if "sqlite3" not in path.name) == ["people.ndjson"]


def test_what_is_refused_is_kept(folder: Path) -> None:
    """Each by itself, with its line and reason; corrected and given again, it is stored."""
    broken = [
        '{"user": {"username": "x"',
        {"usr": {}},
        {"user": {"username": "nobody@elsewhere.example"}},
        {"user": {"username": "anna@example.org"}},
        {"user": {"username": "long@example.org", "passwordHash": "{MD5}X03MO1qnZdYdgyfeuILPmQ=="}},
        {"user": {"username": "one@example.org", "ldapID": "ab\\2dcd"}},
        {"user": {"username": "other@example.org", "ldapID": "ab\\2dcd"}},
        {"user": {"username": "hall@example.org", "status": 4, "storeAccess": ["late@example.org"]}},
        "",
        "[1]",
    ]
    write("people.ndjson", [*LINES, *broken])
    done = ran("import", "people.ndjson")
    assert done.code == 1
    assert done.out.endswith("What was refused is in people.rejected.ndjson: correct it, and import that\n")
    told = done.err.splitlines()
    assert [line.split(": ")[0] for line in told] == [
        "people.ndjson, line 6",
        "people.ndjson, line 7",
        "people.ndjson, line 8 (nobody@elsewhere.example)",
        "people.ndjson, line 9 (anna@example.org)",
        "people.ndjson, line 10 (long@example.org)",
        "people.ndjson, line 12 (other@example.org)",
        "people.ndjson, line 15",
        "storeAccess of hall@example.org",
    ]
    assert "There is no kind 'usr'; did you mean \"user\"?" in told[1]
    assert "{MD5} is none of the schemes" in told[4]
    assert told[5].endswith(": ldapID: The object is linked to another user of the domain already.")
    assert "X03MO1" not in done.err
    kept = Path("people.rejected.ndjson")
    assert kept.stat().st_mode & 0o777 == 0o600
    lines = kept.read_text().splitlines()
    refused = [line if isinstance(line, str) else json.dumps(line) for line in [*broken[:5], broken[6]]]
    assert lines == [*refused, "[1]", lines[-1]]
    assert json.loads(lines[-1]) == {"access": {"username": "hall@example.org", "storeAccess": ["late@example.org"]}}
    write("late.ndjson", [{"user": "late@example.org"}, lines[-1]])
    assert ran("import", "late.ndjson").code == 0
    assert '"storeAccess":["late@example.org"]' in ran("export").out


def test_a_table(folder: Path) -> None:
    """Of users, in whatever domain there is; refused rows are kept as a table with the same columns."""
    write("domain.ndjson", LINES[:2])
    assert ran("import", "domain.ndjson").code == 0
    Path("staff.csv").write_text(
        "username;password;properties.displayname;properties.storagequotalimit;storeAccess\n"
        "anna;a good one;Anna Berg;10 GiB;paul@example.org\n"
        "paul;short;Paul;;\n"
        "pia;a good one;Pia;;\n"
    )
    done = ran("import", "staff.csv")
    assert done.code == 1, done
    assert "staff.csv, line 3 (paul): password: Shorter than 6 characters." in done.err
    assert "storeAccess of anna" in done.err
    assert users() == ["anna@example.org", "pia@example.org"]
    rejected = Path("staff.rejected")
    assert (rejected / "users.csv").read_text() == (
        "username,password,properties.displayname,properties.storagequotalimit,storeAccess\npaul,short,Paul,,\n"
    )
    (rejected / "users.csv").write_text((rejected / "users.csv").read_text().replace("short", "a longer one"))
    done = ran("import", "staff.rejected")
    assert done.code == 0, done
    assert '"storeAccess":["paul@example.org"]' in ran("export").out


def test_nothing_is_overwritten(folder: Path) -> None:
    """What was refused before is being corrected, or is what is read now: it stays as it is."""
    write("domain.ndjson", LINES[1:2])
    before = [{"user": {"username": f"u{number}@elsewhere.example"}} for number in range(400)]
    write("rejected.ndjson", before)
    with Path("rejected.ndjson").open() as lines, subprocess.Popen(
        [POSTROOM, "import", "-"], env={"PATH": os.environ["PATH"]}, stdin=lines, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        told, _ = process.communicate(timeout=60)
    assert "400 refused. What was refused is in rejected-2.ndjson" in told
    assert Path("rejected.ndjson").read_text() == Path("rejected-2.ndjson").read_text()
    Path("staff.csv").write_text("username\nanna@elsewhere.example\n")
    for name in ("staff.rejected", "staff-2.rejected"):
        assert f"is in {name}:" in ran("import", "staff.csv").out
    for taken in ("staff.csv", "rejected.ndjson", "staff.rejected"):
        done = ran("import", "staff.csv", "--rejected", taken)
        assert (done.code, done.err) == (
            2, f"postroom: There is {taken} already; name another, or move it away\n",
        )  # fmt: skip
    Path("link.ndjson").symlink_to("elsewhere.ndjson")
    assert ran("import", "rejected.ndjson", "--rejected", "link.ndjson").code == 2
    assert not Path("elsewhere.ndjson").exists()


def test_a_dry_run_keeps_nothing(folder: Path) -> None:
    """It sees what earlier lines would have stored, names what would be refused, and leaves everything as it was."""
    write("people.ndjson", [*LINES, {"user": "anna@example.org"}])
    done = ran("import", "people.ndjson", "--dry-run")
    assert done.code == 1
    assert done.out.startswith("Would store 1 organisation, 1 domain, 1 role, 2 users; 1 refused.")
    assert users() == []
    assert not Path("people.rejected.ndjson").exists()


def test_ids_are_kept_in_an_empty_store_only(folder: Path) -> None:
    """Elsewhere the same ID may be somebody else's."""
    write("one.ndjson", [{"domain": {"ID": 7, "domainname": "example.org"}}, {"user": {"ID": 70, "username": "anna"}}])
    write(
        "two.ndjson",
        [{"domain": {"ID": 7, "domainname": "example.com"}}, {"user": {"ID": 70, "username": "b@example.com"}}],
    )
    assert ran("import", "one.ndjson").code == ran("import", "two.ndjson").code == 0
    exported = [json.loads(line) for line in ran("export").out.splitlines()]
    assert [next(iter(line.values()))["ID"] for line in exported] == [7, 8, 70, 71]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ([], 2, "Name a file or folder, or an installation with --from"),
        (["x", "--from", "http://127.0.0.1:9"], 2, "Name a file or folder"),
        (["missing.ndjson"], 2, "missing.ndjson: No such file or directory"),
        (["empty"], 2, "empty has none of the files that are imported: organisations.csv"),
        (["wrong.csv"], 2, 'wrong.csv, line 1: unknown column "usrname"; did you mean "username"?'),
        (["wrong.csv", "--encoding", "latin-99"], 2, "There is no such encoding"),
        (["people.ndjson", "--database", "missing.sqlite3"], 2, "There is no database missing.sqlite3"),
        (["--from", "http://127.0.0.1:9"], 3, "There is no login for http://127.0.0.1:9"),
        (["--from", "ftp://x"], 2, "Not the URL of a service"),
        (["--from", "http://127.0.0.1:9", "--user", "admin", "--password-stdin"], 3, "http://127.0.0.1:9/api/v1/login"),
    ],
)
def test_what_cannot_be_done(folder: Path, arguments: list[str], code: int, reason: str) -> None:
    """Nothing is stored, and the message says what, where, and what to do."""
    Path("empty").mkdir()
    Path("wrong.csv").write_text("usrname\nanna\n")
    write("people.ndjson", LINES)
    done = ran("import", *arguments, given="secret\n", environ={"POSTROOM_TOKEN": None})
    assert (done.code, done.out) == (code, "")
    assert reason in done.err
    assert len(done.err.splitlines()) == 1
    assert users() == []


async def test_from_another_installation(start_service: StartService, tmp_path: Path) -> None:
    """What it tells arrives here, but for passwords; what it does not show to this login is named."""
    there = await start_service()
    admin = await there.login("admin", ADMIN_PASSWORD)
    await fill(there, admin)
    await (await Database.open(str(tmp_path / "here.sqlite3"))).close()

    def run(*arguments: str) -> Ran:
        return ran(*arguments, "--database", str(tmp_path / "here.sqlite3"), given=f"{ADMIN_PASSWORD}\n")

    done = await asyncio.to_thread(run, "import", "--from", there.url, "--user", "admin", "--password-stdin")
    assert done.code == 0, done
    assert "Not shown there: fetchmail entries, whose passwords are not told" in done.out
    here = await start_service(database=str(tmp_path / "here.sqlite3"))
    new = await here.login("admin", ADMIN_PASSWORD)
    for path in ("/system/orgs?level=2", "/system/domains?level=1&sort=ID", "/system/roles?level=2"):
        assert (await new.get(path))["count"] == (await admin.get(path))["count"]
    for name in ("oof", "delegates", "sendas", "storeAccess", "sync"):
        assert await new.get(f"/domains/1/users/1/{name}") == await admin.get(f"/domains/1/users/1/{name}")
    old_jane, new_jane = [await api.get("/domains/1/users/1") for api in (admin, new)]
    assert old_jane.pop("fetchmail")
    assert new_jane.pop("fetchmail") == []
    assert new_jane == old_jane
    refused = await here.api.call("POST", "/login", {"user": "jane@example.org", "pass": USER_PASSWORD})
    assert refused.status == 401


async def test_an_interrupted_trial(start_service: StartService) -> None:
    """Ends with the records that are under way, in place of keeping all others from writing until its end."""
    service = await start_service()
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    read = 0

    def endless() -> Iterator[Given]:
        nonlocal read
        while True:
            read += 1
            loop.call_soon_threadsafe(begun.set)
            yield Given("organisation", lambda: {"name": "Acme"}, None)

    job = Import(service.context, lambda *_: None, lambda _: None)
    trial = asyncio.create_task(job.try_out(endless()))
    await begun.wait()
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_domain("example.org")
    assert (await admin.get("/system/orgs"))["count"] == 0
    assert read % 200 == 0


def test_an_export_that_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM is like Ctrl-C: nothing is left, also half-way."""

    def end(_records: object, stream: BinaryIO) -> None:
        stream.write(b"half")
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(exporting, "write_lines", end)
    before = signal.getsignal(signal.SIGTERM)
    done = ran("export", "out.ndjson")
    signal.signal(signal.SIGTERM, before)
    assert (done.code, done.err) == (130, "postroom: Interrupted\n")
    assert not [path for path in folder.iterdir() if "out.ndjson" in path.name]


def test_interrupted_in_the_middle(folder: Path) -> None:
    """Whole lines are stored, with what was due later, and the message says how many."""
    write("many.ndjson", [*LINES[:2], {"user": {"username": "paul@example.org"}}])
    with Path("many.ndjson").open("a") as file:
        for number in range(10_000):
            user = {"username": f"u{number}@example.org", "status": 4, "storeAccess": ["paul@example.org"]}
            file.write(json.dumps({"user": user}) + "\n")
    with subprocess.Popen(
        [POSTROOM, "import", "many.ndjson"], env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        asyncio.run(until(lambda: len(users()) > 50))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    stored = users()
    assert process.returncode in (130, 0), told
    if process.returncode == 130:
        assert "Interrupted" in told
        assert f"{len(stored):,} users" in told
    assert ran("export").out.count('"storeAccess"') == len(stored) - 1
