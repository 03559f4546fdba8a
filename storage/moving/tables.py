"""What a move copies: each table, how its rows are read, and in which order."""

from collections.abc import Sequence
from typing import Final

#: Table -> its primary key, by whose index it is read. A table comes after those that it refers to.
TABLES: Final[dict[str, tuple[str, ...]]] = {
    "settings": ("name",),
    "sealing": ("id",),
    "auth_generation": ("id",),
    "orgs": ("id",),
    "domains": ("id",),
    "users": ("id",),
    "addresses": ("id",),
    "properties": ("id",),
    "display_type_counts": ("domain_id", "status", "display_type"),
    "forwards": ("user_id",),
    "fetchmail": ("id",),
    "roles": ("id",),
    "role_permissions": ("id",),
    "user_roles": ("user_id", "role_id"),
    "api_tokens": ("id",),
    "api_token_permissions": ("id",),
    "sessions": ("session_id",),
    "ldap_configs": ("id",),
    "tasks": ("id",),
    "task_items": ("id",),
    "create_defaults": ("id",),
    "grants": ("user_id", "kind", "position"),
    "store_access": ("user_id", "member_id"),
    "oof": ("user_id",),
    "devices": ("user_id", "device_id"),
    "due_resyncs": ("id",),
    "wipe_history": ("id",),
    "audit": ("id",),
}
#: What the target makes by itself: the search index, the list of users who are missing in it, and the number that says
#: which programs may work with its schema.
MADE_ANEW: Final = ("user_search", "search_due", "compatibility")

#: Tables whose IDs never come back, also when their rows have gone: the last ID that was given is a part of the data.
KEPT_IDS: Final = (
    "orgs",
    "domains",
    "users",
    "fetchmail",
    "roles",
    "role_permissions",
    "api_tokens",
    "api_token_permissions",
    "tasks",
)

#: How a column is read that both engines do not store alike.
_READ_AS: Final = {
    # SQLite stores numbers as numbers here, PostgreSQL as their digits.
    ("properties", "value"): "CAST(value AS TEXT)",
    # Unused parts of the old file may hold secrets in plain text; a new database has none.
    ("sealing", "remnants"): "0",
}

#: Rows that are read and written together: some hold a mebibyte, so they are few.
BATCH: Final = 1000
#: Users who are put into the search index together. PostgreSQL looks at all who were there before with each lot.
SEARCH_BATCH: Final = 20_000


def select(table: str, columns: Sequence[str]) -> str:
    """The statement that reads a table, the same for both engines."""
    read = ", ".join(_READ_AS.get((table, column), column) for column in columns)
    return f"SELECT {read} FROM {table} ORDER BY {', '.join(TABLES[table])}"
