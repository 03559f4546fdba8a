"""Statements for pages of short lists: organisations, domains, roles, tasks."""

from collections.abc import Mapping, Sequence

from postroom.schemas.values.queries import ListQuery
from postroom.schemas.values.text import fold
from postroom.storage.pieces import Sql, among, together
from postroom.storage.searches import gathered

_ASCENDING, _DESCENDING = "NULLS FIRST", "DESC NULLS LAST"

#: More rows than there are.
MOST = 1 << 62


def among_any(expression: str, values: Sequence[object] | None) -> list[Sql]:
    """The condition that an expression has one of these values; no condition for None."""
    return [] if values is None else [among(expression, values)]


def list_statement(
    table: str,
    query: ListQuery,
    document: str,
    sort: Mapping[str, str],
    *,
    filters: Sequence[Sql] = (),
    columns: Mapping[str, str] | None = None,
) -> tuple[str, list[object]]:
    """The statement for the response `{"count", "data"}` as JSON, and its values.

    `table`: table and alias. `document`: SQL for the JSON of a row. `sort`: field -> SQL expression to sort by.
    `columns`: field -> column, if its name differs. The filters apply to both count and data.
    """
    alias = table.split()[-1]
    names = columns or {}
    found = [*filters, *among_any(f"{alias}.id", query.ids)]
    found += [Sql(f"{alias}.{names.get(name, name)} = ?", (value,)) for name, value in query.equal.items()]
    texts = [f"coalesce({alias}.{names.get(name, name)}, '')" for name in query.match_fields] or ["''"]
    # No index is needed. instr() takes the word literally: no character is a pattern.
    found += [Sql(f"instr(fold({' || char(10) || '.join(texts)}), ?) > 0", (fold(word),)) for word in query.words]
    where = together([Sql("TRUE"), *found])
    order = [f"{sort[name]} {_DESCENDING if descending else _ASCENDING}" for name, descending in query.sort]
    sql = f"""
        WITH matched AS MATERIALIZED (SELECT {alias}.* FROM {table} WHERE {where.text})
        SELECT CAST('{{"count":' || (SELECT count(*) FROM matched) || ',"data":[' || coalesce((
               SELECT {gathered(query.limit)}
                 FROM (SELECT {document} AS document
                         FROM matched {alias}
                        ORDER BY {", ".join([*order, f"{alias}.id"])} LIMIT ? OFFSET ?)), '') || ']}}' AS BLOB)
    """
    return sql, [*where.params, MOST if query.limit is None else query.limit, query.offset]
