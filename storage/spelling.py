"""Statements are written once, in the words of SQLite; this is what another engine has to spell differently.

Most differences are names of functions, which an engine translates by itself (storage/postgresql/translation.py). The
few pieces of SQL that really differ stand beside each other: `pair(here, there)` is the SQLite piece, and the other
engine puts the second in its place.
"""

#: Piece in the words of SQLite -> the same in those of PostgreSQL.
PAIRS: dict[str, str] = {}


def pair(sqlite: str, postgresql: str) -> str:
    """The first, wherever it then stands in a statement; on PostgreSQL the second takes its place.

    The placeholders of both have to be the same, in the same order.
    """
    PAIRS[sqlite] = postgresql
    return sqlite


#: A list of numbers or of texts, for IN: one parameter, which is a JSON array.
NUMBERS = pair(
    "(SELECT value FROM json_each(?) numbers)",
    "(SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(? AS json)) AS numbers (value))",
)
TEXTS = pair(
    "(SELECT value FROM json_each(?) texts)",
    "(SELECT value FROM json_array_elements_text(CAST(? AS json)) AS texts (value))",
)
