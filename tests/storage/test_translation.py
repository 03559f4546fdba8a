"""What PostgreSQL gets to see of a statement in the words of SQLite."""

import pytest

from postroom.storage.postgresql.translation import translated
from postroom.storage.spelling import NUMBERS, PAIRS, TEXTS

pytestmark = pytest.mark.postgresql

STATEMENTS = {
    "SELECT a FROM t WHERE b = ? AND c = ?": "SELECT a FROM t WHERE b = $1 AND c = $2",
    # What stands in a text or a name is nobody's to translate.
    "SELECT 'iif(?, ''(', \"max(?)\" FROM t -- (?\nWHERE a": "SELECT 'iif(?, ''(', \"max(?)\" FROM t \nWHERE a",
    "SELECT iif(a > 0, max(b, ?), max(c)) FROM t": "SELECT CASE WHEN a > 0 THEN greatest(b, $1) ELSE max(c) END FROM t",
    "SELECT json(iif(a <> 0, 'true', 'false'))": "SELECT (a <> 0)",
    "SELECT json(a)": "SELECT as_json(a)",
    "SELECT json((SELECT json_group_array(a) FROM t))": "SELECT (SELECT coalesce(json_agg(a), '[]') FROM t)",
    "SELECT json_object('a', instr(b, ?)) FROM t": "SELECT json_build_object('a', strpos(b, $1)) FROM t",
    "SELECT CAST(group_concat(a) AS BLOB)": "SELECT CAST(string_agg(CAST(a AS text), ',') AS varchar)",
    "SELECT group_concat(a, char(10))": "SELECT string_agg(CAST(a AS text), chr(10))",
    "SELECT length(CAST(a AS BLOB)), length(a)": "SELECT octet_length(CAST(a AS varchar)), length(a)",
    "SELECT * FROM (SELECT 1) WHERE 0x10 = ?": "SELECT * FROM (SELECT 1) AS part1 WHERE 16 = $1",
    "SELECT * FROM (SELECT * FROM (SELECT 1)) x": "SELECT * FROM (SELECT * FROM (SELECT 1) AS part1) x",
    "SELECT a FROM t INDEXED BY i CROSS JOIN u ON TRUE": "SELECT a FROM t JOIN u ON TRUE",
    "SELECT a FROM t WHERE b IN ()": "SELECT a FROM t WHERE b = ANY ('{}')",
    f"SELECT 1 WHERE 1 IN {NUMBERS}": f"SELECT 1 WHERE 1 IN {PAIRS[NUMBERS].replace('?', '$1')}",
}


@pytest.mark.parametrize("sql", STATEMENTS)
def test_statement(sql: str) -> None:
    """Its names and placeholders are PostgreSQL's, and nothing else is changed."""
    assert translated(sql) == STATEMENTS[sql]


def test_the_order_of_values_stays() -> None:
    """However deep a placeholder stands, it keeps its number."""
    sql = "SELECT ?, iif(? = 1, (SELECT ? FROM (SELECT ?)), ?), ?"
    assert translated(sql) == "SELECT $1, CASE WHEN $2 = 1 THEN (SELECT $3 FROM (SELECT $4) AS part1) ELSE $5 END, $6"


def test_pairs_have_the_same_values() -> None:
    """The two of a pair take the same number of values, and none is a part of another one."""
    assert {NUMBERS, TEXTS} <= PAIRS.keys()
    for here, there in PAIRS.items():
        assert here.count("?") == there.count("?"), here
        assert not [other for other in PAIRS if other != here and other in here], here
