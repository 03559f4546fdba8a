"""Every operation by every kind of caller, aimed at what is theirs and at what is not: each cell of a table of data."""

import pytest

from postroom.app.routes import ROUTES
from tests.support import matrix

pytestmark = pytest.mark.attack


def test_every_operation_has_its_row() -> None:
    """A new row of the route table, or a new query, needs a line that says who may use it."""
    assert list(matrix.read()) == matrix.operations()
    assert len(matrix.operations()) >= len(ROUTES)


def test_every_writing_operation_can_be_told_allowed_from_refused() -> None:
    """Whoever may do everything is answered otherwise than whoever may do nothing, in every line but public ones."""
    public = {f"{route.method} {route.path}" for route in ROUTES if route.guard is None}
    rows = matrix.read()
    for operation, row in rows.items():
        if operation.split("?", maxsplit=1)[0] not in public:
            assert row["system"] != row["anonymous"], operation
            assert all(status == "401" for status in row["anonymous"].split()), operation
        assert not set(" ".join(row.values()).split()) - {"200", "201", "400", "401", "403", "404", "503"}, operation


@pytest.mark.parametrize("caller", matrix.CALLERS)
async def test_every_cell(caller: str) -> None:
    """Whoever calls is answered everywhere exactly as their column says."""
    expected = {operation: row[caller] for operation, row in matrix.read().items()}
    assert await matrix.play(caller) == expected
