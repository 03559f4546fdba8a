"""What is recorded of each table is said for all tables and columns, and both engines record the same."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from postroom.schemas.values.audit import AuditQuery, AuditScope
from postroom.storage import domains, fetchmail, oof, users
from postroom.storage.audit.changes import Noted, changes_of
from postroom.storage.audit.rows import list_audit
from postroom.storage.audit.tables import NOT_RECORDED, RECORDED
from postroom.storage.database import Database

#: Columns of recorded tables that are not recorded by themselves, and why.
UNRECORDED = {
    "orgs.key": "the folded name", "roles.key": "the folded name",
    "domains.active_users": "a counter", "domains.inactive_users": "a counter", "domains.virtual_users": "a counter",
    "domains.token_epoch": "follows the status", "users.token_epoch": "follows password, status, roles and link",
    "users.kept_session": "goes with the password", "users.kept_epoch": "goes with the password",
    "addresses.key": "the folded address", "addresses.magic": "where an altname comes from",
    "properties.tag": "the number of the name", "properties.kind": "of the name", "properties.multi": "of the name",
    "properties.number": "the value once more", "properties.folded": "the value once more",
    "properties.domain_id": "of the user", "fetchmail.date": "set with each change",
    "grants.position": "the order", "grants.key": "the folded address", "grants.member_id": "whose the address was",
    "devices.user_agent": "reported at each contact", "devices.device_user": "reported at each contact",
    "devices.first_sync_time": "reported", "devices.last_update_time": "reported",
    "devices.last_connect_time": "reported", "devices.as_version": "reported", "devices.folders_syncable": "reported",
    "devices.folders_synced": "reported", "sealing.remnants": "of the file",
    "tasks.created": "the time of the row", "tasks.updated": "progress", "tasks.message": "progress",
    "tasks.user_id": "the actor", "tasks.pid": "a process", "tasks.node": "a process", "tasks.owner": "a process",
    "tasks.seen": "a sign of life", "tasks.token_id": "the token of the actor",
    "api_tokens.created": "the time of the row", "api_tokens.last_used": "reported at uses",
    "api_tokens.last_source": "reported at uses",
    "sessions.session_id": "a number", "sessions.epoch": "of user and domain", "sessions.created": "of the login",
    "sessions.last_used": "reported at uses", "sessions.expires": "follows the uses",
}  # fmt: skip


@pytest.mark.sqlite
async def test_each_table_and_column_is_named(database: Database) -> None:
    """Recorded, or not recorded for a reason: whoever adds a table or a column has to decide."""
    tables = await database.fetch_all("SELECT name FROM sqlite_schema WHERE type = 'table'")
    names = {name for (name,) in tables if not re.match(r"user_search_|sqlite_(?!sequence)", name)}
    assert names == RECORDED.keys() | NOT_RECORDED.keys() - {"schema_version"}
    assert all(NOT_RECORDED.values())
    found = set()
    for table, recorded in RECORDED.items():
        known = {*recorded.fields, *recorded.secrets, *recorded.at_ends, recorded.owner, recorded.entry, "id"}
        columns = await database.fetch_all("SELECT name FROM pragma_table_info(?)", (table,))
        found |= {f"{table}.{column}" for (column,) in columns if column not in known}
        assert {*recorded.fields, *recorded.secrets} <= {column for (column,) in columns}
    at_ends = {f"{table}.{column}" for table, recorded in RECORDED.items() for column in recorded.at_ends}
    assert found == UNRECORDED.keys() - at_ends


@pytest.mark.parametrize(
    ("table", "columns"),
    [("users", users.COLUMNS), ("domains", domains.COLUMNS), ("fetchmail", fetchmail.COLUMNS), ("oof", oof.COLUMNS)],
)
def test_fields_have_their_names_in_the_api(table: str, columns: dict[str, str]) -> None:
    """A field is called like in the documents."""
    recorded = RECORDED[table]
    named = {**recorded.fields, **recorded.secrets}
    assert {name: column for column, name in named.items() if name in columns} == columns


def test_postgresql_has_the_same_tables() -> None:
    """Each recorded table has its trigger there, with the same object, and the same secrets."""
    scripts = sorted((Path(__file__).parents[2] / "storage/migrations/postgresql").glob("*.sql"))
    text = "".join(script.read_text("utf-8") for script in scripts)
    found = {}
    for table, arguments in re.findall(r"ON (\w+) FOR EACH ROW\s+EXECUTE FUNCTION note_change\(([^)]*)\)", text):
        found[table] = [argument.strip(" '\n") for argument in arguments.split(",")]
    for table, recorded in RECORDED.items():
        expected = [recorded.kind, recorded.owner.strip("0"), recorded.entry, recorded.parent, *recorded.secrets]
        assert found.pop(table) == expected[: len(expected) - len(_empty_end(expected))], table
    assert found == {}


def _empty_end(values: list[str]) -> list[str]:
    end: list[str] = []
    for value in reversed(values):
        if value:
            break
        end.append(value)
    return end


async def test_what_was_changed_without_effect_is_not_recorded(database: Database) -> None:
    """Neither the same value again, nor one that comes and goes within a write."""

    def prepare(connection: Any) -> None:
        connection.execute("INSERT INTO orgs (id, name, key) VALUES (1, 'One', 'one')")

    def work(connection: Any) -> None:
        for name in ("One", "Two", "One"):
            connection.execute("UPDATE orgs SET name = ? WHERE id = 1", (name,))
        connection.execute("INSERT INTO orgs (id, name, key) VALUES (2, 'Two', 'two')")
        connection.execute("DELETE FROM orgs WHERE id = 2")

    await database.write(prepare)
    await database.write(work)
    rows = await database.read(list_audit, AuditQuery(kind="org"), AuditScope(everything=True))
    assert len(rows) == 1


async def test_a_row_has_a_bound(database: Database) -> None:
    """Long texts and lists are cut and say so; what no longer fits is counted."""

    def work(connection: Any) -> None:
        connection.execute("INSERT INTO users (id, username) VALUES (0, 'admin')")
        for number in range(300):
            connection.execute(
                "INSERT INTO properties (user_id, tag, name, kind, value) VALUES (0, ?, ?, 'text', ?)",
                (number, f"p{number}", "x" * 100_000),
            )
            connection.execute(
                "INSERT INTO addresses (user_id, kind, address, key) VALUES (0, 'alias', ?, ?)",
                (f"a{number}", f"a{number}"),
            )

    await database.write(work)
    (row,) = await database.read(list_audit, AuditQuery(kind="user"), AuditScope(everything=True))
    assert len(row[1]) <= 16 * 1024
    assert "... (100000 characters)" in row[1]
    assert "more fields" in row[1]


async def test_rows_of_one_moment_have_ids_of_their_own(database: Database) -> None:
    """Also when the clock is set back, and many objects are changed by one write."""

    def work(connection: Any, first: int) -> None:
        connection.executemany(
            "INSERT INTO orgs (id, name, key) VALUES (?, ?, ?)",
            [(number, f"o{number}", f"o{number}") for number in range(first, first + 500)],
        )

    await database.write(work, 1)
    await database.write(lambda connection: connection.execute("UPDATE audit SET id = id + 500000").rowcount)
    await database.write(work, 1001)
    ((count,),) = await database.fetch_all("SELECT count(*) FROM audit WHERE kind = 'org'")
    assert count == 1000


def test_a_new_object_shows_no_empty_members() -> None:
    """Of its documents neither; a change to something empty is one."""

    def note(action: str, before: object, after: object) -> Noted:
        change = {"sync_policy": [before and orjson.dumps(before).decode(), orjson.dumps(after).decode()]}
        return Noted(1, 0, "domains", "domain", 1, "", action, change, "example.org", 1)

    empty: dict[str, object] = {"none": None, "number": 0, "list": [], "object": {"text": ""}}
    assert changes_of([note("I", None, {**empty, "days": 3})]) == {"syncPolicy.days": [None, 3]}
    assert changes_of([note("I", None, empty)]) == {}
    assert changes_of([note("U", {"days": 3}, {"days": 0})]) == {"syncPolicy.days": [3, 0]}
