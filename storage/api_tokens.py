"""Tokens for programs: who owns one, what it is limited to, and when it was last used."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postroom.storage.auth import domains_by_org
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.pieces import Sql, among, together
from postroom.storage.roles import PermissionRow
from postroom.storage.searches import fetch_all


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token without its hash, which leaves the database for nobody. Times are UNIX times."""

    id: int
    user_id: int
    username: str
    #: That of the owner; None for the administrator.
    domain_id: int | None
    name: str
    scoped: bool
    read_only: bool
    networks: tuple[str, ...]
    created: int
    expires: int | None
    last_used: int | None
    last_source: str | None
    permissions: tuple[PermissionRow, ...]
    #: organisation ID -> IDs of its domains, for the organisations in the permissions
    domains_of_org: Mapping[int, Sequence[int]]


@dataclass(frozen=True, slots=True)
class NewToken:
    """What is stored of a token that is being made."""

    user_id: int
    name: str
    hash: str
    read_only: bool
    networks: Sequence[str]
    created: int
    expires: int | None
    #: None: all that its owner may do.
    permissions: Sequence[PermissionRow] | None


_SELECT = """
    SELECT t.id, t.user_id, u.username, u.domain_id, t.name, t.scoped, t.read_only, t.networks, t.created, t.expires,
           t.last_used, t.last_source,
           (SELECT json_group_array(json_array(p.permission, p.domain_id, p.org_id, p.everything))
              FROM (SELECT * FROM api_token_permissions WHERE token_id = t.id ORDER BY id) p),
           (SELECT json_group_array(json_array(o.org_id, o.id))
              FROM api_token_permissions p
              JOIN domains o ON o.org_id = p.org_id
             WHERE p.token_id = t.id)
      FROM api_tokens t
      JOIN users u ON u.id = t.user_id
"""


def find_token(connection: Connection, token_id: int) -> TokenRow | None:
    """The token with this ID, or None."""
    return _find(connection, "t.id = ?", token_id)


def find_token_by_hash(connection: Connection, hashed: str) -> TokenRow | None:
    """The token with this hash, or None. How long the index takes tells nothing: nobody can choose parts of a hash."""
    return _find(connection, "t.hash = ?", hashed)


def _find(connection: Connection, condition: str, value: object) -> TokenRow | None:
    row = connection.execute(f"{_SELECT} WHERE {condition}", (value,)).fetchone()
    return None if row is None else _row(row)


@dataclass(frozen=True, slots=True)
class Seen:
    """Whose tokens are listed: all of them, or those of one user and of users in some domains."""

    everybodys: bool
    user_id: int
    domain_ids: Sequence[int]
    all_domains: bool = False


async def select_tokens(
    database: Database, seen: Seen, owner: int | None, limit: int, offset: int, *, caller: int
) -> tuple[int, list[TokenRow]]:
    """(how many there are in all, one page of them by ID); of one owner alone, if given."""
    conditions = [Sql("TRUE")]
    if not seen.everybodys:
        among_domains = Sql("u.domain_id IS NOT NULL") if seen.all_domains else among("u.domain_id", seen.domain_ids)
        conditions.append(Sql(f"(t.user_id = ? OR {among_domains.text})", (seen.user_id, *among_domains.params)))
    if owner is not None:
        conditions.append(Sql("t.user_id = ?", (owner,)))
    where = together(conditions)
    count: int = await database.search(
        caller, f"SELECT count(*) FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE {where.text}", where.params
    )
    rows = await database.search(
        caller,
        f"{_SELECT} WHERE {where.text} ORDER BY t.id LIMIT ? OFFSET ?",
        (*where.params, limit, offset),
        fetch=fetch_all,
    )
    return count, [_row(row) for row in rows]


def list_tokens(connection: Connection, owner: int | None) -> list[TokenRow]:
    """All tokens, or those of one owner."""
    where, params = ("", ()) if owner is None else (" WHERE t.user_id = ?", (owner,))
    rows = connection.execute(f"{_SELECT}{where} ORDER BY t.id", params).fetchall()
    return [_row(row) for row in rows]


def _row(row: Any) -> TokenRow:
    permissions = tuple(
        PermissionRow(name, domain, org, bool(everything)) for name, domain, org, everything in json.loads(row[12])
    )
    token_id, user_id, username, domain_id, name, scoped, read_only, networks, created, expires, used, source = row[:12]
    return TokenRow(
        token_id, user_id, username, domain_id, name, bool(scoped), bool(read_only), tuple(json.loads(networks)),
        created, expires, used, source, permissions, domains_by_org(row[13]),
    )  # fmt: skip


def count_tokens(connection: Connection, user_id: int) -> int:
    """How many tokens a user owns, also those that have expired."""
    (count,) = connection.execute("SELECT count(*) FROM api_tokens WHERE user_id = ?", (user_id,)).fetchone()
    return int(count)


def insert_token(connection: Connection, new: NewToken) -> int:
    """Adds a token; returns its ID."""
    (token_id,) = connection.execute(
        """
        INSERT INTO api_tokens (user_id, name, hash, scoped, read_only, networks, created, expires)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        RETURNING id
        """,
        (
            new.user_id,
            new.name,
            new.hash,
            new.permissions is not None,
            new.read_only,
            json.dumps(new.networks),
            new.created,
            new.expires,
        ),
    ).fetchone()
    connection.executemany(
        """
        INSERT INTO api_token_permissions (token_id, permission, domain_id, org_id, everything)
        VALUES (?, ?, ?, ?, ?)
        """,
        [
            (token_id, row.permission, row.domain_id, row.org_id, row.everything)
            for row in dict.fromkeys(new.permissions or ())
        ],
    )
    return int(token_id)


def delete_token(connection: Connection, token_id: int) -> None:
    """Revokes a token."""
    connection.execute("DELETE FROM api_tokens WHERE id = ?", (token_id,))


def delete_expired_tokens(connection: Connection, before: int) -> None:
    """Forgets the tokens that expired before this time."""
    connection.execute("DELETE FROM api_tokens WHERE expires < ?", (before,))


def update_last_uses(connection: Connection, uses: Sequence[tuple[int, int, str]]) -> None:
    """Notes when and from where tokens were used: (token ID, time, source) each. A later use stays."""
    connection.executemany(
        "UPDATE api_tokens SET last_used = ?, last_source = ? WHERE id = ? AND coalesce(last_used, 0) < ?",
        [(used, source, token_id, used) for token_id, used, source in uses],
    )
