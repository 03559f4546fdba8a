"""Plays the examples of app/openapi/examples/ in the order of their steps against a running service.

`python -m tests.conformance.examples` writes the responses into the files.

A file has the name of an operation ID. Each of its entries is a call: `step` (its place among the entries of all
files), `at` (path and query), `body`, `form` or `lines`, `headers`, `by` ("nobody": without a login; or a user), `size`
(a body of so many bytes), `times` (number of repetitions; the last response counts), then `status` and `answer`. To
describe a new operation, add a file with an entry without an answer, choose a step between two existing ones, and run
this.

`cut` names the only parts of a response to show, `data[:2]` the first two items of a list. `played: false` keeps an
entry unchanged, for a case that cannot be produced. `shape: true` keeps the answer while the response has the same
fields of the same types, because its values differ on each machine."""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, Final

from postroom.app.config import Config
from postroom.app.openapi.example_calls import FOLDER, load
from tests.support.bulk import text_of
from tests.support.dns_server import DnsServer
from tests.support.service import ADMIN_PASSWORD, NDJSON, Api, Service
from tests.support.slapd import PEOPLE_DN, Slapd

#: Values that differ in each run, and what the file has in their place.
VOLATILE: Final[dict[str, Any]] = {
    "grommunioAuthJwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyIjowfQ.c2lnbmF0dXJl",
    "csrf": "pHqR2m5X0c8oVb1kT7uYwEj4sN9LZ3aDfGxQ6iJh0rM=",
    "creationtime": "2026-07-01 09:00:00",
    "date": "2026-07-01 09:05:00",
    "created": "2026-07-01 09:10:00",
    "updated": "2026-07-01 09:10:01",
    "backend": "0.1.0",
    "schema": 1,
    "engine": "SQLite 3.53.4",
    "requestID": "5f0c9d3ab1e84c27",
    "expires": "2027-07-01 09:10:00",
    "lastUsed": "2026-07-01 09:15:00",
    "now": "2026-07-01 09:15:00",
    "token": "postroom_kQ3v7yT0wM5rX2nB8cZ1aL6sD9fG4hJpKuEiOyAqRtU",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}
#: Stands for the ID of a login.
SESSION_ID: Final = "8d1f2c7a90b34e5f8d1f2c7a90b34e5f"
#: Stands for the current UNIX time.
_NOW: Final = 1785661200
#: The password of users, where they call.
PASSWORD: Final = "a better one"
SERVER: Final = "ldap://directory.example.com"

ANNA: Final = f"""\
dn: uid=anna.schmidt,{PEOPLE_DN}
objectClass: inetOrgPerson
objectClass: mailPerson
uid: anna.schmidt
cn: Anna Schmidt
sn: Schmidt
givenName: Anna
displayName: Anna Schmidt
mail: anna.schmidt@example.com
mailAlias: smtp:anna@example.com
telephoneNumber: +43 1 555 1000
title: Head of sales
objectGUID:: nsNBbm5hAP80Mg==

dn: uid=paul.huber,{PEOPLE_DN}
objectClass: inetOrgPerson
objectClass: mailPerson
uid: paul.huber
cn: Paul Huber
sn: Huber
displayName: Paul Huber
mail: paul.huber@example.com
objectGUID: Paul+1
"""


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[Service, Slapd]]:
    """A fresh service, and a directory with two people."""
    with Slapd() as directory:
        directory.add(ANNA)
        async with DnsServer.started() as dns:
            config = Config(database=":memory:", admin_password=ADMIN_PASSWORD, dns_servers=(dns.address,))
            async with Service.started(config) as service:
                yield service, directory


async def play(service: Service, directory: Slapd, entry: dict[str, Any]) -> tuple[int, Any]:
    """(status, response in the form of the file) of one entry."""
    api = await caller_of(service, entry.get("by", "admin"))
    status, answer = await _call(api, json.loads(json.dumps(entry).replace(SERVER, directory.url)))
    answer = json.loads(json.dumps(answer).replace(directory.url, SERVER))
    if entry.get("shape") and "answer" in entry and _shape(answer) == _shape(entry["answer"]):
        return status, entry["answer"]
    return status, _steady(_cut(answer, entry["cut"]) if "cut" in entry else answer)


async def caller_of(service: Service, name: str) -> Api:
    """Who makes the call of an entry."""
    if name == "nobody":
        return service.api
    return await service.login("admin", ADMIN_PASSWORD) if name == "admin" else await service.log_in_own(name, PASSWORD)


async def _call(api: Api, entry: dict[str, Any]) -> tuple[int, Any]:
    for _ in range(entry.get("times", 1)):
        answer = await api.call(method_of(entry["operation"]), entry["at"], **content_of(entry))
    return answer.status, answer.body


def content_of(entry: dict[str, Any]) -> dict[str, Any]:
    """What an entry sends: the arguments of Api.call() after method and path."""
    headers = entry.get("headers", {})
    if "form" in entry:
        return {"data": entry["form"], "headers": headers}
    if "lines" in entry:
        return {"data": text_of(entry["lines"]), "headers": {"Content-Type": NDJSON, **headers}}
    if "size" in entry:
        return {"data": BytesIO(b" " * entry["size"]), "headers": {"Content-Type": "application/json"}}
    return {"body": entry.get("body"), "headers": headers}


def method_of(operation: str) -> str:
    """The method of the operation with this name."""
    from tests.support.description import own

    ((method, _),) = [key for key, each in own().operations.items() if each["operationId"] == operation]
    return method


def _cut(answer: Any, names: list[str]) -> Any:
    shown: dict[str, Any] = {}
    for name in names:
        first, _, rest = name.partition(".")
        if few := re.fullmatch(r"(\w+)\[:(\d+)\]", first):
            shown[few[1]] = answer[few[1]][: int(few[2])]
            continue
        shown[first] = _cut(answer[first], [rest]) if rest else answer[first]
    return shown


def _shape(value: Any) -> Any:
    """The response with types in place of values. A list has the shape of its first entry, or none."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value[:1]]
    return "number" if isinstance(value, int | float) else "text"


def _steady(value: Any) -> Any:
    if isinstance(value, list):
        return [_steady(each) for each in value]
    if isinstance(value, int) and abs(value - time.time()) < 3600:
        return _NOW
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value):
        return SESSION_ID
    if isinstance(value, dict):
        return {name: VOLATILE[name] if name in VOLATILE and each is not None else _steady(each)
                for name, each in value.items()}  # fmt: skip
    return value


async def record() -> None:
    """Writes the responses of the service into the files."""
    written = load()
    async with stage() as (service, directory):
        for entry in written:
            if entry.get("played", True):
                status, entry["answer"] = await play(service, directory, entry)
                if status != entry["status"]:
                    sys.exit(f"{entry['operation']} {entry['at']}: {status}, not {entry['status']}: {entry['answer']}")
    files: dict[str, list[dict[str, Any]]] = {}
    for entry in written:
        files.setdefault(entry.pop("operation"), []).append(entry)
    for name, own in files.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(own, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    asyncio.run(record())
