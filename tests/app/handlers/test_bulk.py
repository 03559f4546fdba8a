"""Many users at once: each line is done, or refused, as the single operation of its action would."""

from typing import Any

from tests.support.bulk import bulk
from tests.support.service import Api

#: Of "a user's password".
HASH = "$6$saltstring$"


def create(name: str, **fields: Any) -> dict[str, Any]:
    """A line that creates a shared mailbox, which needs no password."""
    return {"create": {"username": name, "status": 4, **fields}}


async def test_each_action(admin: Api, domain: int) -> None:
    """Lines create, change and delete users in their order; a user may be named by ID or by username."""
    lines = [
        create("jane", properties={"displayname": "Jane"}),
        {"patch": {"username": "jane", "smtp": True}},
        {"patch": {"ID": 1, "username": "janet"}},
        create("john"),
        {"delete": {"username": "John@EXAMPLE.org"}},
        {"create": {"status": 5, "properties": {"displayname": "Paul"}}},
        {"patch": {"username": "contact-3", "properties": {"displayname": "Paula"}}},
    ]
    answer = await bulk(admin, domain, lines)
    assert answer.results == [
        {"line": 1, "status": 201, "ID": 1},
        {"line": 2, "status": 200, "ID": 1},
        {"line": 3, "status": 200, "ID": 1},
        {"line": 4, "status": 201, "ID": 2},
        {"line": 5, "status": 200, "ID": 2},
        {"line": 6, "status": 201, "ID": 3},
        {"line": 7, "status": 200, "ID": 3},
    ]
    message = "Done up to line 7: 3 created, 3 changed, 1 deleted, 0 refused"
    done = {"create": 3, "patch": 3, "delete": 1}
    assert answer.end == {"status": 200, "message": message, "lines": 7, "done": done, "refused": 0}
    janet = await admin.get(f"/domains/{domain}/users/1")
    assert (janet["username"], janet["smtp"]) == ("janet@example.org", True)
    assert (await admin.get(f"/domains/{domain}/users/3"))["properties"]["displayname"] == "Paula"
