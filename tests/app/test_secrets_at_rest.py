"""Whatever secret an operation takes, no file of the store has it as it was given."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postroom.app.web.keys import CURRENT
from tests.conftest import StartService
from tests.support.description import JSON, Description
from tests.support.service import Api

SECRETS = {
    name: f"recognizable-{number}-secret"
    for number, name in enumerate(("user", "by name", "own", "reset", "fetchmail", "again", "bind", "org's bind"))
}


def fields_of(description: Description, schema: JSON, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of the fields of a body, at any depth, that are described as a password."""
    if schema.get("$ref") in seen:
        return
    seen = (*seen, schema.get("$ref", ""))
    schema = description.resolve(schema)
    items = [schema["items"]] if "items" in schema else []
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ()), *items):
        yield from fields_of(description, part, seen)
    for name, field in schema.get("properties", {}).items():
        if field.get("format") == "password":
            yield name
        yield from fields_of(description, field, seen)


async def test_no_secret_lies_anywhere_in_plain_text(start_service: StartService, tmp_path: Path) -> None:
    """Each operation that takes a password is given one of its own; then every byte of every file is looked at."""
    service = await start_service(database=str(tmp_path / "postroom.sqlite3"), admin_password="admin's secret")
    admin = await service.login("admin", "admin's secret")
    played = await play(admin)
    description = Description(await admin.get("/openapi.json"))
    takes = {
        f"{method} {path.removeprefix('/api/v1')}"
        for method, path in description.operations
        if (body := description.body((method, path))) and list(fields_of(description, body))
    }
    # These only compare what they are given, as the login does, which is a form.
    assert takes - played == {
        "POST /service/wipe/{username}",
        "POST /domains/{domainID}/users/{userID}/sync/{deviceID}/wipe",
        "POST /me/sync/{deviceID}/wipe",
    }
    tokens = admin.headers["Authorization"].removeprefix("Bearer ")
    key = service.app[CURRENT].context.tokens._key[1]
    for wanted in (*SECRETS.values(), "admin's secret", tokens, key):
        assert await asyncio.to_thread(files_with, tmp_path, wanted.encode()) == [], wanted
    assert await asyncio.to_thread(files_with, tmp_path, b"sealed:") != []


def files_with(folder: Path, text: bytes) -> list[str]:
    """The files of a folder that hold these bytes."""
    return [path.name for path in folder.iterdir() if text in path.read_bytes()]


async def play(admin: Api) -> set[str]:
    """Gives each kind of secret; returns the operations that took one."""
    domain = await admin.make_domain("example.org")
    entry = {"srcServer": "a.org", "srcUser": "x", "srcPassword": SECRETS["fetchmail"]}
    user = await admin.make_user(domain, "jane", password=SECRETS["user"], fetchmail=[entry])
    path = f"/domains/{domain}/users/{user['ID']}"
    await admin.patch(path, {"fetchmail": [{**user["fetchmail"][0], "srcPassword": SECRETS["again"]}]})
    await admin.put(f"{path}/password", {"new": SECRETS["reset"]})
    await admin.put("/passwd/jane@example.org", {"new": SECRETS["by name"]})
    await admin.put("/passwd", {"user": "jane@example.org", "old": SECRETS["by name"], "new": SECRETS["own"]})
    org = (await admin.post("/system/orgs", {"name": "Org"}))["ID"]
    for where, name in (("/system/mconf/ldap", "bind"), (f"/system/orgs/{org}/ldap", "org's bind")):
        connection: Any = {"server": "ldap://127.0.0.1:9", "bindUser": "cn=x", "bindPass": SECRETS[name]}
        config = {"connection": connection, "baseDn": "dc=x", "objectID": "uid", "users": {"username": "mail"}}
        await admin.put(f"{where}?force=true", config)
        assert SECRETS[name] not in str(await admin.get(where))
    return {
        "POST /domains/{domainID}/users", "PATCH /domains/{domainID}/users/{userID}",
        "PUT /domains/{domainID}/users/{userID}/password", "PUT /passwd/{username}", "PUT /passwd",
        "PUT /system/mconf/ldap", "PUT /system/orgs/{ID}/ldap",
    }  # fmt: skip
