"""Translates statements from the words of SQLite into those of PostgreSQL.

It knows literals, parentheses and the calls of functions, and nothing else of the grammar. Each text is translated
once.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from postroom.storage.spelling import PAIRS

_TOKEN: Final = re.compile(
    r"(?P<text>'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/)"
    r"|(?P<number>0[xX][0-9a-fA-F]+)"
    r"|(?P<word>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<other>.)",
    re.DOTALL,
)

#: What stands after a subquery in FROM that has no name yet; PostgreSQL before 16 wants one.
_NO_NAME: Final = frozenset(
    {"", ")", ",", "WHERE", "ORDER", "GROUP", "LIMIT", "UNION", "JOIN", "LEFT", "CROSS", "HAVING", "ON"}
)

#: What SQLite has for JSON's true and false.
_BOOLEAN: Final = re.compile(r"CASE WHEN (.*) THEN 'true' ELSE 'false' END", re.DOTALL)

#: Most texts that are remembered. Some have as many variants as a client's query has values.
_REMEMBERED: Final = 4096


def _named(name: str) -> Callable[[list[str]], str]:
    return lambda arguments: f"{name}({', '.join(arguments)})"


def _if(arguments: list[str]) -> str:
    condition, then, otherwise = arguments
    return f"CASE WHEN {condition} THEN {then} ELSE {otherwise} END"


def _json(arguments: list[str]) -> str:
    """PostgreSQL has booleans, and a part of a document that is JSON already."""
    (value,) = arguments
    if found := _BOOLEAN.fullmatch(value):
        return f"({found[1]})"
    return value if value.startswith(("(SELECT coalesce(json_", "json_build_")) else f"as_json({value})"


def _cast(arguments: list[str]) -> str:
    value, _, kind = arguments[0].rpartition(" AS ")
    return f"CAST({value} AS {_TYPES.get(kind.strip(), kind)})"


def _length(arguments: list[str]) -> str:
    octets = arguments[0].startswith("CAST(") and arguments[0].endswith(f" AS {_TYPES['BLOB']})")
    return f"{'octet_length' if octets else 'length'}({arguments[0]})"


def _set(arguments: list[str]) -> str:
    document, path, value = arguments
    key = path.strip().strip("'").removeprefix("$.")
    return f"CAST(jsonb_set(CAST({document} AS jsonb), '{{{key}}}', CAST({value} AS jsonb)) AS json)"


def _patch(arguments: list[str]) -> str:
    document, other = arguments
    return f"CAST(CAST({document} AS jsonb) || jsonb_strip_nulls(CAST({other} AS jsonb)) AS json)"


def _joined(arguments: list[str]) -> str:
    text, separator = (*arguments, "','")[:2]
    return f"string_agg(CAST({text} AS text), {separator})"


def _extreme(single: str, several: str) -> Callable[[list[str]], str]:
    return lambda arguments: f"{single if len(arguments) == 1 else several}({', '.join(arguments)})"


#: Documents are varchar, which no column is: so they are returned as bytes, without being decoded.
_TYPES: Final = {"BLOB": "varchar", "INTEGER": "bigint"}

_FUNCTIONS: Final[dict[str, Callable[[list[str]], str]]] = {
    "json": _json,
    "json_array": _named("json_build_array"),
    "json_object": _named("json_build_object"),
    "json_group_array": lambda arguments: f"coalesce(json_agg({arguments[0]}), '[]')",
    "json_group_object": lambda arguments: f"coalesce(json_object_agg({', '.join(arguments)}), '{{}}')",
    "json_set": _set,
    "json_patch": _patch,
    "group_concat": _joined,
    "instr": _named("strpos"),
    "char": _named("chr"),
    "iif": _if,
    "CAST": _cast,
    "length": _length,
    "max": _extreme("max", "greatest"),
    "min": _extreme("min", "least"),
    # The search index of PostgreSQL takes texts as they are.
    "grams": lambda arguments: f"coalesce({arguments[0]}, '')",
}


@lru_cache(maxsize=_REMEMBERED)
def translated(sql: str) -> str:
    """The statement for PostgreSQL, with placeholders $1, $2 and so on."""
    for piece in sorted(PAIRS, key=len, reverse=True):
        sql = sql.replace(piece, PAIRS[piece])
    # A list is always in the order of its index here, or says its order; what SQLite is told of indexes goes.
    sql = re.sub(r"\sINDEXED BY \w+", "", sql)
    sql = re.sub(r"\bCROSS JOIN\b", "JOIN", sql).replace("IN ()", "= ANY ('{}')")
    return _Translation(sql.strip()).whole()


class _Translation:
    """One pass over the tokens of a statement."""

    def __init__(self, sql: str) -> None:
        tokens = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(sql)]
        self._tokens = [(kind, text) for kind, text in tokens if not text.startswith(("--", "/*"))]
        self._at = 0
        self._parameters = 0
        self._subqueries = 0

    def whole(self) -> str:
        return "".join(self._parts(until=""))

    def _parts(self, until: str) -> Iterator[str]:
        """Everything up to the closing parenthesis (or the end) that belongs to this level."""
        before = ""
        while self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if text == until and kind == "other":
                return
            self._at += 1
            if kind == "word" and text in _FUNCTIONS and self._next() == "(":
                self._at += 1
                yield _FUNCTIONS[text](self._arguments())
                before = ""
                continue
            if text == "?":
                self._parameters += 1
                text = f"${self._parameters}"
            elif kind == "number":
                text = str(int(text, 16))
            elif text == "(" and kind == "other":
                text = f"({''.join(self._parts(until=')'))})"
                self._at += 1
                if before in ("FROM", "JOIN") and self._following() in _NO_NAME:
                    self._subqueries += 1
                    text += f" AS part{self._subqueries}"
            yield text
            if not text.isspace():
                before = text if kind == "word" else ""

    def _arguments(self) -> list[str]:
        """The arguments of a call, translated; what stands next is behind its parenthesis."""
        arguments = [""]
        for part in self._parts(until=")"):
            if part == ",":
                arguments.append("")
            else:
                arguments[-1] += part
        self._at += 1
        return [argument.strip() for argument in arguments]

    def _next(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _following(self) -> str:
        """The next token that is no space."""
        return next((text.upper() for _, text in self._tokens[self._at :] if not text.isspace()), "")
