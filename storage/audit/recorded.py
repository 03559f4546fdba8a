"""How what is recorded of a table is described."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: What stands in the place of a secret.
SECRET: Final = "(secret)"  # noqa: S105 - it is none


@dataclass(frozen=True, slots=True)
class Recorded:
    """A table, and what its rows are a part of."""

    #: What kind of object that is, and the column with its ID. 0 stands for NULL.
    kind: str
    owner: str
    #: Column -> name in the API.
    fields: Mapping[str, str]
    #: The table whose row a row goes with: a change that only follows from that row's end is not recorded.
    parent: str = ""
    #: Of these fields it is only recorded that they have changed.
    secrets: Mapping[str, str] = field(default_factory=dict)
    #: Columns with a JSON object or list, which is recorded as that.
    documents: frozenset[str] = frozenset()
    #: Columns with 0 or 1 that are true or false in the API.
    flags: frozenset[str] = frozenset()
    #: Whether a row that comes is recorded, too.
    comes: bool = True
    #: Stands before the names of the fields of a row that is not the object itself.
    prefix: str = ""
    #: The column that tells such rows of one object apart.
    entry: str = ""
    #: Each row is a member of a list of the object: name of the list, or entry -> name.
    lists: Mapping[str, str] | str | None = None
    #: Columns that are only recorded when the object comes or goes.
    at_ends: Mapping[str, str] = field(default_factory=dict)
    #: Entries that are not recorded, and those whose fields are secrets.
    ignored: frozenset[str] = frozenset()
    secret_entries: frozenset[str] = frozenset()

    @property
    def is_object(self) -> bool:
        """Whether a row is an object by itself, and not a part of one."""
        return not (self.prefix or self.lists)

    def name_of(self, column: str, *, is_end: bool) -> str | None:
        """The name of a column in the API, None if it is not recorded; `is_end`: the row comes or goes."""
        name = self.fields.get(column)
        if name is None:
            name = self.secrets.get(column)
        return self.at_ends.get(column) if name is None and is_end else name
