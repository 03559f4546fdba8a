"""The pages of the documentation: complete, in the site, and the same as the program."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.api_page import operation_list, operations, parts

ROOT = Path(__file__).parents[1]


def in_the_site(entry: Any) -> set[str]:
    """The pages below an entry of the navigation."""
    if isinstance(entry, str):
        return {entry}
    return {page for each in (entry.values() if isinstance(entry, dict) else entry) for page in in_the_site(each)}


def test_every_page_is_in_the_site() -> None:
    """The navigation names each page, and no other; `make docs` checks the links."""
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    assert in_the_site(navigation) == {path.name for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_every_page_is_reached_from_the_readme(page: Path) -> None:
    """Whoever reads on the forge finds each page from the README, except the one that the site begins with."""
    linked = f"(docs/{page.name}" in (ROOT / "README.md").read_text("utf-8")
    assert linked or page.name == "index.md"


def test_the_readme_is_one_screen() -> None:
    """A sentence, two commands, a picture, links."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 40


def test_the_page_of_the_api_is_the_api() -> None:
    """The list of operations is what python -m tests.support.api_page makes of the present description."""
    assert parts()[1].strip() == operation_list().strip()
    assert operation_list().count("\n| `") == len([*operations()])
