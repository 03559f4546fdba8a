"""Databases of earlier schemas, made by the postroom of their time, and the program that makes them.

    python -m tests.support.kept_schemas                   the schema of this checkout, for both engines
    python -m tests.support.kept_schemas --postroom FILE   that of another postroom, an executable file

Each is filled through HTTP, so the program works with every version: what a version does not know is left out.
"""

import argparse
import base64
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from postroom.storage.sqlite import sqlite3
from tests.support.people import add_person
from tests.support.postgresql import PostgreSQL, programs
from tests.support.slapd import Slapd, config_document, free_port

FOLDER: Final = Path(__file__).parents[1] / "data" / "schemas"
ENGINES: Final = ("sqlite", "postgresql")
PASSWORD: Final = "kept password"
JANE: Final = "jane@example.org"

_START_LIMIT: Final = 30.0
_PROPERTIES: Final = {
    "displayname": "Jane Döe ﬁ",
    "comment": "two\nlines, a ' and a \" and a \\",
    "gender": -3,
    "storagequotalimit": 1_048_576,
    "changenumber": 2**62,
    "addressbookismaster": True,
    "birthday": "1980-02-29 00:00:00",
    "accesscontrollistdata": "AAEC/w==",
    "addressbookproxyaddresses": ["smtp:jane@example.org", "SMTP:ä@example.org"],
}
#: What was shown of a database before it was kept.
_USERS: Final = range(12)
_OF_USER: Final = (
    "", "/oof", "/storeProps?properties=storagequotalimit", "/delegates", "/sendas", "/storeAccess", "/sync"
)  # fmt: skip
_SERVICE: Final = ("syncPolicy", "wipe", "lastconnect", "userinfo", "disabledPlugins", "oof")
READ: Final = (
    "/system/domains?level=2", "/system/domains/1", "/system/domains/2", "/system/orgs", "/system/orgs/1",
    "/system/roles", "/system/roles/1", "/system/mconf/ldap", "/system/orgs/1/ldap", "/system/mconf/authmgr",
    "/defaults/createParams", "/defaults/createParams/1", "/domains/1/syncPolicy", "/domains/1/disabledPlugins",
    "/domains/1/users?level=2&sort=username,desc", "/domains/2/users?level=2", "/domains/3/users?level=2",
    "/domains/1/users?match=e",
    "/domains/1/users?match=döe&matchProps=displayname", "/domains/1/users?sort=displayname",
    "/domains/1/users?filterProp=storagequotalimit:1048576", "/system/users?level=2", "/users",
    "/tokens", "/tasq/tasks?sort=ID", "/tasq/tasks/1", "/tasq/tasks/2", "/tasq/tasks/3",
    *(f"/domains/1/users/{user}{of}" for user in _USERS for of in _OF_USER),
    *(f"/domains/3/users/{user}" for user in _USERS),
    *(f"/service/{what}/{JANE}" for what in _SERVICE),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A database that is kept: its engine and its schema."""

    engine: str
    schema: int

    @property
    def stem(self) -> str:
        """What its files are called before the dot."""
        return f"{self.engine}_{self.schema:04}"

    @property
    def documents(self) -> dict[str, Any]:
        """What the postroom of its time responded: path -> body."""
        shown: dict[str, Any] = json.loads((FOLDER / f"{self.stem}.json").read_text("utf-8"))
        return shown

    def put_key(self, path: Path) -> None:
        """Writes the file with the keys of its secrets, if it has any."""
        kept = FOLDER / f"{self.stem}.key"
        if kept.exists():
            path.touch(mode=0o600)
            path.write_bytes(kept.read_bytes())

    def put_file(self, path: Path) -> None:
        """Writes the SQLite file, and its keys beside it."""
        path.write_bytes(gzip.decompress((FOLDER / f"{self.stem}.sqlite3.gz").read_bytes()))
        self.put_key(path.with_name(f"{path.name}.key"))

    def script(self) -> str:
        """The statements that make the PostgreSQL database."""
        return gzip.decompress((FOLDER / f"{self.stem}.sql.gz").read_bytes()).decode()


def kept(engine: str) -> list[Kept]:
    """All that are kept of an engine, oldest first."""
    found = FOLDER.glob(f"{engine}_*.json")
    return [Kept(engine, int(path.stem[-4:])) for path in sorted(found)]


class Client:
    """Calls to a service of any version, as its administrator."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v1"
        form = urllib.parse.urlencode({"user": "admin", "pass": PASSWORD}).encode()
        self._headers: dict[str, str] = {}
        self._headers = {"Authorization": f"Bearer {self._send('POST', '/login', form)[1]['grommunioAuthJwt']}"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a response, None for what the version does not know. RuntimeError for another failure."""
        status, shown = self._send(method, path, None if body is None else json.dumps(body).encode())
        if status >= 400 and not _is_unknown(status):
            raise RuntimeError(f"{method} {path}: {status} {shown}")
        if _is_unknown(status):
            print(f"left out: {method} {path}: {status}", file=sys.stderr)
            return None
        return shown

    def read(self) -> dict[str, Any]:
        """What is shown of all that there is."""
        shown = {path: self._send("GET", path) for path in READ}
        return {path: body for path, (status, body) in shown.items() if status == 200}

    def _send(self, method: str, path: str, data: bytes | None = None) -> tuple[int, Any]:
        kind = "application/x-www-form-urlencoded" if path == "/login" else "application/json"
        headers = {} if path.startswith("/service/") else self._headers
        if data is not None:
            headers = {**headers, "Content-Type": kind}
        url = self._url + urllib.parse.quote(path, safe="/?=&:,@")
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - it is http
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


def _is_unknown(status: int) -> bool:
    return status in (404, 405)


@contextmanager
def running(postroom: str, folder: Path, **settings: str) -> Iterator[str]:
    """A service in a process of its own; its URL."""
    port = free_port()
    given = {"POSTROOM_PORT": str(port), "POSTROOM_ADMIN_PASSWORD": PASSWORD, "POSTROOM_HOST": "127.0.0.1", **settings}
    log = folder / "log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [postroom, "serve"], env={**os.environ, **given}, cwd=folder, stdout=output, stderr=output
        ) as process,
    ):
        try:
            url, limit = f"http://127.0.0.1:{port}", time.monotonic() + _START_LIMIT
            while True:
                with suppress(OSError):
                    urllib.request.urlopen(f"{url}/api/v1/status", timeout=5).close()  # noqa: S310
                    break
                if process.poll() is not None or time.monotonic() > limit:
                    raise RuntimeError(log.read_text("utf-8"))
                time.sleep(0.05)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def fill(client: Client, directory: Slapd) -> None:
    """Makes something of everything."""
    call = client.call
    org = call("POST", "/system/orgs", {"name": "Älteste Org", "description": "the first"})["ID"]
    policy = {"syncPolicy": {"allowcam": 0}}
    one = {"domainname": "example.org", "maxUser": 100, "orgID": org, "title": "One", "chat": True, **policy}
    call("POST", "/system/domains", one)
    call("POST", "/system/domains", {"domainname": "bücher.example", "maxUser": 100, "orgID": org})
    call("POST", "/system/domains", {"domainname": "example.com", "maxUser": 100})
    if "selfService" in call("GET", "/system/domains/1"):
        call("PATCH", "/system/domains/1", {"selfService": ["forward", "sendas"]})
    _fill_people(client)
    _fill_mailbox(client)
    permissions = [{"permission": "ResetPasswd"}, {"permission": "DomainAdmin", "params": 1}]
    call("POST", "/system/roles", {"name": "Helpers", "permissions": permissions, "users": [1]})
    call("PATCH", "/defaults/createParams", {"user": {"smtp": True}})
    call("PATCH", "/defaults/createParams/1", {"user": {"lang": "de_DE"}})
    call("PUT", "/domains/1/disabledPlugins", ["chat"])
    call("PUT", "/system/mconf/authmgr", {"authBackendSelection": "externid"})
    permissions = [{"permission": "DomainAdminRO", "params": 1}]
    call("POST", "/tokens", {"name": "nightly", "permissions": permissions, "networks": ["192.0.2.0/24"]})
    _fill_directory(client, directory, org)


def _fill_people(client: Client) -> None:
    mail = {"srcServer": "mail.example.net", "srcUser": "jane", "srcPassword": "elsewhere"}

    def make(domain: int, name: str, **fields: Any) -> None:
        login = {} if fields.get("status") in (4, 5) else {"password": PASSWORD}
        client.call("POST", f"/domains/{domain}/users", {"username": name, **login, **fields})

    make(
        1, "jane", properties=_PROPERTIES, aliases=["j.doe@example.org", "straße@example.org"],
        altnames=[{"altname": "jd"}], fetchmail=[mail, {**mail, "active": False}], syncPolicy={"allowbluetooth": 1},
        forward={"forwardType": 1, "destination": "far@example.net"},
    )  # fmt: skip
    make(1, "john", properties={"displayname": "John Ä. Öz", "displaytypeex": 0})
    make(1, "hall", status=4, properties={"displaytypeex": 7})
    make(1, "guest@example.net", status=5, properties={"displayname": "Guest", "smtpaddress": "guest@example.net"})
    make(1, "gone")
    client.call("DELETE", "/domains/1/users/5")
    make(2, "ute", status=1)


def _fill_mailbox(client: Client) -> None:
    call, path = client.call, "/domains/1/users/1"
    call("PUT", f"{path}/delegates", ["john@example.org", "later@example.org"])
    call("PUT", f"{path}/sendas", ["hall@example.org"])
    call("PUT", f"{path}/storeAccess", {"usernames": ["john@example.org"]})
    call("PATCH", f"{path}/storeProps", {"storagequotalimit": 1_048_576})
    times = {"startTime": "2026-03-01 08:00:00", "endTime": "2026-03-09 18:00:00"}
    call("PUT", f"{path}/oof", {"state": 2, **times, "internalSubject": "Away", "internalReply": "<p>Föhn</p>"})
    report = {"devicetype": "Pixel", "useragent": "Mail/9", "asversion": 16.1, "lastconnecttime": 1_785_574_800}
    for device in ("phone", "tablet", "watch"):
        call("PUT", f"/service/sync/{JANE}/{device}", report)
    call("POST", f"{path}/sync/phone/wipe", {"password": PASSWORD, "status": 16})
    call("PUT", f"{path}/sync/tablet/resync")
    call("DELETE", f"{path}/sync/watch")


def _fill_directory(client: Client, directory: Slapd, org: int) -> None:
    for uid in ("linked", "doomed"):
        add_person(directory, uid, f"telephoneNumber: {len(uid)}")
    config = {**config_document(directory), "objectID": "objectGUID"}
    client.call("PUT", "/system/mconf/ldap", config)
    for uid in ("linked", "doomed"):
        given = base64.b64encode(uid.encode()).decode()
        found = client.call("GET", f"/domains/ldap/search?query={uid}")
        given = found["data"][0]["ID"] if found else given
        client.call("POST", f"/domains/ldap/importUser?ID={urllib.parse.quote(given, safe='')}")
    directory.delete(f"uid=doomed,{directory.people_dn}")
    client.call("POST", "/domains/ldap/downsync?timeout=60")
    client.call("POST", "/domains/ldap/downsync?timeout=60&import=true")
    client.call("PUT", f"/system/orgs/{org}/ldap?force=true", {**config, "baseDn": "dc=y"})


def make(postroom: str, engine: str, folder: Path) -> Kept:
    """Makes a database with a postroom, and keeps it."""
    file, key = folder / f"{engine}.sqlite3", folder / "key"
    settings = {"POSTROOM_DATABASE": str(file), "POSTROOM_KEY_FILE": str(key)}
    with PostgreSQL(fast=True) as server, Slapd() as directory:
        if engine == "postgresql":
            settings["POSTROOM_DATABASE"] = server.url(server.make_database())
        with running(postroom, folder, **settings) as url:
            client = Client(url)
            fill(client, directory)
            documents = client.read()
        if engine == "sqlite":
            made, data = _pack(file)
        else:
            made, data = _dump(server, settings["POSTROOM_DATABASE"])
    ending = "sqlite3" if engine == "sqlite" else "sql"
    (FOLDER / f"{made.stem}.{ending}.gz").write_bytes(gzip.compress(data, mtime=0))
    lines = [f"{json.dumps(path)}: {json.dumps(body, ensure_ascii=False)}" for path, body in documents.items()]
    (FOLDER / f"{made.stem}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    if key.exists():
        shutil.copy(key, FOLDER / f"{made.stem}.key")
    return made


def _pack(file: Path) -> tuple[Kept, bytes]:
    """The schema of a file, and its bytes."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        # A smaller page leaves less room unused.
        connection.execute("PRAGMA page_size = 512")
        connection.execute("VACUUM")
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
    return Kept("sqlite", schema), file.read_bytes()


def _dump(server: PostgreSQL, url: str) -> tuple[Kept, bytes]:
    """The schema of a database, and the statements that make it."""
    options = ("--no-owner", "--no-privileges", "--no-comments", "--rows-per-insert=100")
    done = subprocess.run([programs() / "pg_dump", *options, url], capture_output=True, check=True)
    # Commands of psql are none of the server.
    text = re.sub(r"(?m)^\\.*\n|^--.*\n", "", done.stdout.decode())
    (schema,) = re.findall(r"INSERT INTO public.schema_version VALUES\s+\('postroom', (\d+)", text)
    return Kept("postgresql", int(schema)), re.sub(r"\n{2,}", "\n", text).encode()


def main() -> None:
    """Makes what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postroom", default=str(Path(sys.executable).with_name("postroom")))
    parser.add_argument("--engine", choices=ENGINES, action="append")
    options = parser.parse_args()
    for engine in options.engine or ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            print("made", make(options.postroom, engine, Path(folder)).stem)


if __name__ == "__main__":
    main()
