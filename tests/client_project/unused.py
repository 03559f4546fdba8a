"""A test that does not ask for postroom: run alone, with `pytest unused.py`."""

import sys


def test_nothing_of_postroom_is_imported() -> None:
    """Only the plugin itself."""
    found = {name for name in sys.modules if name.startswith("postroom.")}
    assert found == {"postroom.pytest_plugin"}
    assert "aiohttp" not in sys.modules
