"""The full-text index that `match` searches: one row for each user, found by any part of their names and properties.

The index holds grams: all single characters and all pairs. A longer part is a phrase of pairs that overlap, so whatever
the words of a search are, they are one expression for the index. The row ID is
`domain_id << 32` plus the ID of the user, so the users of a domain are one range, in the order of their IDs.
"""

from collections.abc import Sequence
from operator import add

from postroom.schemas.values.proptags import DISPLAY_NAME
from postroom.storage.engine import Connection
from postroom.storage.spelling import pair

#: The row of a user, in a query with `users u`. A row ID keeps the ID of the user in its ID_BITS.
ROW_ID = "(u.domain_id << 32) + u.id"
ID_BITS = 0xFFFF_FFFF

#: What the index takes for the end of a token: everything in ASCII but letters and digits. They become characters of
#: the last private plane; a line end stays the end of a value.
_TOKEN_CHARACTERS = {code: 0x100000 + code for code in range(128) if not chr(code).isalnum() and chr(code) != "\n"}

_DELETE_DUE = f"""
    DELETE FROM user_search
     WHERE rowid IN (SELECT {ROW_ID} FROM search_due d CROSS JOIN users u ON u.id = d.user_id)
"""
#: The columns of the index, and what each holds for `users u`.
TEXTS = {
    "username": """(SELECT grams(group_concat(key, char(10))) FROM addresses
             WHERE user_id = u.id AND kind = 'username')""",
    "aliases": """(SELECT grams(group_concat(key, char(10))) FROM addresses
             WHERE user_id = u.id AND kind = 'alias')""",
    "altnames": """(SELECT grams(group_concat(key, char(10))) FROM addresses
             WHERE user_id = u.id AND kind = 'altname')""",
    "displayname": f"""coalesce((SELECT grams(folded) FROM properties
             WHERE user_id = u.id AND tag = {DISPLAY_NAME}), '')""",
    "properties": f"""(SELECT grams(group_concat(folded, char(10))) FROM properties
             WHERE user_id = u.id AND tag <> {DISPLAY_NAME} AND kind = 'text')""",
}
#: PostgreSQL makes the row ID by itself.
_COLUMNS = pair("user_search (rowid, username", "user_search (user_id, domain_id, username")
_ID = pair(f"SELECT {ROW_ID}, /* the ID of a search row */", "SELECT u.id, u.domain_id,")
_INSERT_DUE = f"""
    INSERT INTO {_COLUMNS}, aliases, altnames, displayname, properties)
    {_ID}
           {", ".join(TEXTS.values())}
      FROM search_due d CROSS JOIN users u ON u.id = d.user_id
     WHERE u.domain_id IS NOT NULL
     ORDER BY u.domain_id, u.id
"""


def refresh(connection: Connection) -> None:
    """Makes the rows of all users anew whose names or properties this transaction has changed."""
    connection.execute(_DELETE_DUE)
    connection.execute(_INSERT_DUE)
    connection.execute("DELETE FROM search_due")


def grams(text: str | None) -> str:
    """The tokens of folded texts, one a line: the pairs in order, and each character once."""
    lines = (text or "").translate(_TOKEN_CHARACTERS).split("\n")
    tokens: list[str] = []
    for line in lines:
        tokens += map(add, line, line[1:])
        tokens.append(line[:1])  # so that no phrase goes from one line to the next
    tokens += dict.fromkeys("".join(lines))
    return " ".join(tokens)


def matching(columns: Sequence[str], words: Sequence[str]) -> tuple[str, tuple[object, ...]]:
    """The condition on `user_search x` that each of the folded words is somewhere in these columns. None is empty."""
    phrases = " AND ".join(_phrase(word) for word in words)
    return "x.user_search MATCH ?", (f"{{{' '.join(columns)}}}: ({phrases})",)


def _phrase(word: str) -> str:
    text = word.translate(_TOKEN_CHARACTERS)
    return f'"{text if len(text) == 1 else " ".join(map(add, text, text[1:]))}"'
