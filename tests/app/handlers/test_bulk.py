"""Many users at once: each line is done, or refused, as the single operation of its action would."""

import gzip
from typing import Any

import pytest

from tests.support.bulk import bulk, text_of
from tests.support.service import NDJSON, USER_PASSWORD, Api, Service


def create(name: str, **fields: Any) -> dict[str, Any]:
    """A line that creates a shared mailbox, which needs no password."""
    return {"create": {"username": name, "status": 4, **fields}}


async def usernames(admin: Api, domain: int) -> list[str]:
    """The local parts of all users of the domain."""
    page = await admin.get(f"/domains/{domain}/users?level=0&limit=100000")
    return [user["username"].partition("@")[0] for user in page["data"]]


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


#: Lines that are refused: (line, method, path below the domain, body) of the single operation.
REFUSED: list[tuple[dict[str, Any], str, str, Any]] = [
    *(
        ({"create": body}, "POST", "/users", body)
        for body in (
            {},
            {"username": "x"},
            {"username": "x", "password": "short"},
            {"username": "x", "password": "a\0b"},
            {"username": "x", "password": "x" * 600},
            {"username": "JANE", "status": 4},
            {"username": "x@elsewhere.example", "status": 4},
            {"username": "a b", "status": 4},
            {"username": "x\0", "status": 4},
            {"username": "x", "status": 9, "smtp": "yes", "colour": "red"},
            {"username": "x", "status": 4, "aliases": ["jane@example.org"]},
            {"username": "x", "status": 4, "aliases": ["x@elsewhere.example"]},
            {"username": "x", "status": 4, "altnames": [{"altname": "jane@example.org"}]},
            {"username": "x", "status": 4, "domainID": 77},
            {"username": "x", "status": 4, "properties": {"nosuchproperty": 1}},
            {"username": "x", "status": 0, "password": USER_PASSWORD, "aliases": [f"x{n}@x.y" for n in range(1001)]},
        )
    ),
    *(
        ({"patch": {"ID": 1, **body}}, "PATCH", "/users/1", body)
        for body in (
            {"password": USER_PASSWORD},
            {"username": "john"},
            {"roles": [{"ID": 1}]},
            {"status": 5},
            {"smtp": None},
        )
    ),
    ({"patch": {"ID": 99, "smtp": True}}, "PATCH", "/users/99", {"smtp": True}),
    ({"delete": {"ID": 0}}, "DELETE", "/users/0", None),
    ({"delete": {"ID": 3}}, "DELETE", "/users/3", None),
]


@pytest.mark.parametrize(("line", "method", "path", "body"), REFUSED, ids=range(len(REFUSED)))
async def test_refused_like_alone(
    admin: Api, domain: int, line: dict[str, Any], method: str, path: str, body: Any
) -> None:
    """A refused line has the status, the message and the reasons of the single operation, and changes nothing."""
    for name in ("jane", "john"):
        await admin.make_user(domain, name)
    await admin.make_user(await admin.make_domain("elsewhere.example"), "jane")
    alone = await admin.call(method, f"/domains/{domain}{path}", body)
    answer = await bulk(admin, domain, [create("before"), line, create("after")])
    before, refused, after = answer.results
    assert refused == {"line": 2, "status": alone.status, **alone.body}
    assert (before["status"], after["status"]) == (201, 201)
    assert answer.end["refused"] == 1
    assert await usernames(admin, domain) == ["jane", "john", "before", "after"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "The line is not valid JSON: "),
        (b'{"create": {"username": "a\0b"}}', "The line is not valid JSON: "),
        (b'{"create": {"username": "\xff"}}', "The line is not valid JSON: "),
        (b"\xef\xbb\xbf{}", "The line is not valid JSON: "),
        (b"[" * 2000, "The line is not valid JSON: "),
        (b"null", "The line must be a JSON object"),
        (b'["create"]', "The line must be a JSON object"),
        (b"{}", "The line must have exactly one of create, patch and delete"),
        (b'{"remove": {"ID": 1}}', "The line must have exactly one of create, patch and delete"),
        (b'{"delete": {"ID": 1}, "patch": {"ID": 1}}', "The line must have exactly one of create, patch and delete"),
        (b'{"delete": {"ID": 1}, "force": true}', "Invalid input: force: Unknown field."),
        (b'{"delete": {"ID": 1, "force": true}}', "Invalid input: force: Unknown field."),
        (b'{"delete": 1}', "Invalid input: delete: Must be a JSON object."),
        (b'{"delete": {}}', "The line must name the user by ID or username"),
        (b'{"patch": {"smtp": true}}', "The line must name the user by ID or username"),
        (b'{"delete": {"ID": "1"}}', "Invalid input: ID: Not a valid integer."),
        (b'{"delete": {"ID": 9223372036854775808}}', "Invalid input: ID: "),
        (b'{"delete": {"username": "nobody"}}', "There is no user 'nobody' in domain 1"),
        (b'{"delete": {"username": "jane@elsewhere.example"}}', "Invalid input: username: "),
        (b'{"delete": {"ID": 1}, "ifMatch": 1}', "Invalid input: ifMatch: Not a valid string."),
        (b'{"create": {"username": "' + b"x" * 2 * 1024 * 1024 + b'"}}', "The line is longer than 1 MiB"),
        (b"x" * (1024 * 1024 + 1), "The line is longer than 1 MiB"),
        (b'{"create": {"aliases": [' + b"1," * 100_000 + b"1]}}", "The line has more than 100,000 values"),
    ],
    ids=range(23),
)
async def test_line_that_is_none(admin: Api, domain: int, line: bytes, reason: str) -> None:
    """A line that is broken, too long or not understood is refused with its number, wherever it stands."""
    await admin.make_user(domain, "jane")
    fine = text_of([create("fine")])
    status = 413 if "longer" in reason else 404 if "no user" in reason else 400
    for body, number in ((fine + line + b"\n" + text_of([create("too")]), 2), (line + b"\n" + fine, 1), (line, 1)):
        answer = await bulk(admin, domain, body)
        refused = answer.results[number - 1]
        assert (refused["line"], refused["status"]) == (number, status)
        assert refused["message"].startswith(reason)
        assert answer.end["refused"] - answer.statuses.count(400) <= 1
    assert await usernames(admin, domain) == ["jane", "fine", "too"]


async def test_ends_of_lines(admin: Api, domain: int) -> None:
    """Empty lines count but have no result; CRLF ends a line as well; the last line needs no end."""
    lines = [text_of([create(name)]).strip() for name in ("one", "two", "three")]
    answer = await bulk(admin, domain, b"\n  \r\n" + lines[0] + b"\r\n\n" + lines[1] + b"\n\n\n" + lines[2])
    assert [result["line"] for result in answer.results] == [3, 5, 8]
    assert answer.statuses == [201, 201, 201]
    assert answer.end["lines"] == 8


async def test_two_lines_want_the_same_name(admin: Api, domain: int) -> None:
    """The first line gets the name, the second is refused; after a deletion the name is free again."""
    lines = [
        create("jane"),
        create("Jane"),
        create("john", aliases=["jane@example.org"]),
        {"delete": {"username": "jane"}},
    ]
    answer = await bulk(admin, domain, [*lines, create("jane")])
    assert answer.statuses == [201, 400, 400, 200, 201]
    assert "jane@example.org is in use already" in answer.results[1]["message"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"", {}, 400, "The body has no lines"),
        (b"\n \n\r\n", {}, 400, "The body has no lines"),
        (text_of([create("jane")]), {"Content-Type": "application/json"}, 400, "application/x-ndjson is needed"),
        (text_of([create("jane")]), {"Content-Type": "text/plain"}, 400, "application/x-ndjson is needed"),
        (gzip.compress(text_of([create("jane")])), {"Content-Encoding": "gzip"}, 415, "The body is compressed"),
        (b"no gzip", {"Content-Encoding": "gzip"}, 415, "The body is compressed"),
    ],
    ids=["empty", "only empty lines", "JSON", "text", "gzip", "no gzip"],
)
async def test_body_that_is_none(
    admin: Api, domain: int, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    """A body without lines, of another type or compressed is refused as a whole; there is no task."""
    sent = {"Content-Type": NDJSON, **headers}
    reasons = await admin.refused(status, "POST", f"/domains/{domain}/users/bulk", data=body, headers=sent)
    assert reason in reasons
    assert await usernames(admin, domain) == []
    assert (await admin.get("/tasq/tasks"))["count"] == 0


async def test_compressed_without_saying_so(admin: Api, domain: int) -> None:
    """Compressed bytes without the header are lines that are not JSON."""
    answer = await bulk(admin, domain, gzip.compress(text_of([create("jane")])))
    assert set(answer.statuses) == {400}


async def test_domain_that_does_not_exist(admin: Api) -> None:
    """Lines for a domain that does not exist are a 404 as a whole."""
    options = {"data": text_of([create("jane")]), "headers": {"Content-Type": NDJSON}}
    assert await admin.refused(404, "POST", "/domains/9/users/bulk", **options) == "There is no domain 9 | "


async def test_limit_of_users(admin: Api) -> None:
    """The limit of the domain holds line by line."""
    domain = await admin.make_domain("small.example", maxUser=2)
    lines = [{"create": {"username": name, "password": USER_PASSWORD}} for name in ("one", "two", "three")]
    answer = await bulk(admin, domain, [*lines, {"patch": {"username": "two", "status": 1}}, lines[2]])
    assert answer.statuses == [201, 201, 400, 200, 201]
    assert "has reached its limit of 2 users" in answer.results[2]["message"]


async def test_passwords(service: Service, admin: Api, domain: int) -> None:
    """A password in a line is hashed, and its user can log in."""
    await bulk(admin, domain, [{"create": {"username": f"user{n}", "password": USER_PASSWORD}} for n in range(10)])
    for name in ("user0", "user9"):
        changed = {"user": f"{name}@example.org", "old": USER_PASSWORD, "new": "another password"}
        await service.api.put("/passwd", changed)


async def test_versions(admin: Api, domain: int) -> None:
    """With `ifMatch` a line is done only if the user is as it was read."""
    await admin.make_user(domain, "jane")
    etag = (await admin.call("GET", f"/domains/{domain}/users/1")).headers["ETag"]
    patch = {"patch": {"ID": 1, "smtp": True}}
    lines = [
        {**patch, "ifMatch": '"another"'},
        {**patch, "ifMatch": f"W/{etag}"},
        {**patch, "ifMatch": etag},
        {"delete": {"ID": 1}, "ifMatch": etag.strip('"')},
        {"delete": {"ID": 1}, "ifMatch": "*"},
    ]
    answer = await bulk(admin, domain, lines)
    assert answer.statuses == [412, 412, 200, 412, 200]


async def test_dry_run(admin: Api, domain: int) -> None:
    """A dry run says what each line by itself would do, and changes nothing; no ID is made."""
    await admin.make_user(domain, "jane")
    before = await admin.get(f"/domains/{domain}/users/1")
    lines = [create("john"), create("john"), create("jane"), {"patch": {"ID": 1, "smtp": True}}, {"delete": {"ID": 1}}]
    answer = await bulk(admin, domain, lines, "?dryRun=true")
    assert answer.results[0] == {"line": 1, "status": 201}
    assert answer.statuses == [201, 201, 400, 200, 200]
    assert answer.end["message"].startswith("Dry run, nothing was changed. Done up to line 5: 2 created, ")
    assert await admin.get(f"/domains/{domain}/users/1") == before
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 1
    assert (await admin.get(f"/domains/{domain}/users?match=john"))["count"] == 0
    await admin.make_user(domain, "john")


@pytest.mark.parametrize("bad", [b"x\n", text_of([create("one")])], ids=["broken", "refused"])
async def test_stop_on_error(admin: Api, domain: int, bad: bytes) -> None:
    """With `stopOnError`, the first refused line is the last: all before it are done, none after it."""
    lines = [create("one"), create("two")]
    answer = await bulk(admin, domain, text_of(lines) + bad + text_of([create("three")]), "?stopOnError=true")
    assert answer.statuses == [201, 201, 400]
    assert answer.end["message"] == (
        "Stopped at the first refused line. Done up to line 3: 2 created, 0 changed, 0 deleted, 1 refused"
    )
    assert await usernames(admin, domain) == ["one", "two"]


async def test_callers_with_fewer_permissions(service: Service, admin: Api, domain: int) -> None:
    """A caller changes and deletes nobody who may do more than they, as alone."""
    mighty = await service.login_with(domain, ("SystemAdmin", {}), name="mighty")
    caller = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    lines = [{"patch": {"username": "mighty", "username ": 1}}, {"delete": {"username": "mighty"}}]
    lines += [{"patch": {"ID": 1, "status": 1}}, create("jane")]
    answer = await bulk(caller, domain, lines)
    assert answer.statuses == [400, 403, 403, 201]
    assert answer.results[1]["message"] == "You need at least the permissions of mighty@example.org to delete them"
    await mighty.get("/profile")


async def test_many_lines(admin: Api, domain: int) -> None:
    """Thousands of lines, some of them refused, have their results in order; the search index has all users."""
    await admin.patch(f"/system/domains/{domain}", {"maxUser": 10_000})
    lines = [b"x\n" if n % 700 == 0 else text_of([create(f"user{n - (n % 500 == 0)}")]) for n in range(1, 2001)]
    answer = await bulk(admin, domain, b"".join(lines))
    assert [result["line"] for result in answer.results] == list(range(1, 2001))
    refused = [result["line"] for result in answer.results if result["status"] != 201]
    assert refused == [500, 700, 1000, 1400, 1500, 2000]
    assert (await admin.get(f"/domains/{domain}/users?limit=0"))["count"] == 1994
    assert (await admin.get(f"/domains/{domain}/users?match=user1999"))["count"] == 1


async def test_task(service: Service, admin: Api, domain: int) -> None:
    """The result is a task of the caller: the counts, the number of the last line, and the first 50 refused lines."""
    caller = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    answer = await bulk(caller, domain, text_of([create("jane"), create("x" * 300)]) + b"x\n" * 80)
    task = await caller.get(f"/tasq/tasks/{answer.task_id}")
    assert (task["command"], task["state"]) == ("bulkUsers", 3)
    assert task["message"] == answer.end["message"]
    params = task["params"]
    assert {name: params[name] for name in ("lines", "done", "refused")} == {
        "lines": 82,
        "done": {"create": 1, "patch": 0, "delete": 0},
        "refused": 81,
    }
    assert [error["line"] for error in params["errors"]] == list(range(2, 52))
    assert len(params["errors"][0]["message"]) == 200
    assert params["errors"][1] == {"line": 3, "status": 400, "message": answer.results[2]["message"]}
    other = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="other")
    await other.refused(404, "GET", f"/tasq/tasks/{answer.task_id}")
