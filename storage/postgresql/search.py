"""The condition of a search on PostgreSQL: an index of trigrams finds any part of all texts of a user."""

from collections.abc import Sequence

_ALL = ("username", "aliases", "altnames", "displayname", "properties")


def matching(columns: Sequence[str], words: Sequence[str]) -> tuple[str, tuple[object, ...]]:
    """The condition on `user_search x` that each of the folded words is somewhere in these columns."""
    conditions: list[str] = []
    values: list[object] = []
    for word in words:
        conditions.append("x.all_text LIKE ?")
        values.append(f"%{_literal(word)}%")
        if set(columns) != set(_ALL):
            conditions.append(f"({' OR '.join(f'instr(x.{column}, ?) > 0' for column in columns)})")
            values += [word] * len(columns)
    return " AND ".join(conditions), tuple(values)


def _literal(word: str) -> str:
    """No character of a word is a wildcard."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
