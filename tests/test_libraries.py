"""docs/design.md has a row for every dependency, and every import is a declared dependency."""

import ast
import re
import sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Used without an import: files of the package, data that Python looks for, the event loop.
NOT_IMPORTED = {"swagger-ui-py", "tzdata"}


def setup_cfg() -> ConfigParser:
    """The parsed setup.cfg."""
    found = ConfigParser()
    found.read(ROOT / "setup.cfg")
    return found


def names(requirements: str) -> set[str]:
    """`aiohttp>=3.14,<4` on a line of its own -> aiohttp."""
    return {re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0] for line in requirements.splitlines() if line.strip()}


def declared() -> dict[str, set[str]]:
    """`run` and each extra -> its dependencies."""
    config = setup_cfg()
    lists = {"run": config["options"]["install_requires"], **config["options.extras_require"]}
    return {extra: names(text) for extra, text in lists.items()}


def rows(title: str) -> list[list[str]]:
    """The cells of the table below a heading of docs/design.md, without its first two lines."""
    section = (ROOT / "docs" / "design.md").read_text("utf-8").split(f"\n### {title}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize(
    ("title", "extras"),
    [
        ("Needed to run", ["run"]),
        ("For PostgreSQL: the extra `postgresql`", ["postgresql"]),
        ("For replication: the extra `replica`", ["replica"]),
        ("For seeds in YAML and for strict mode: the extra `testing`", ["testing"]),
        ("For tests and quality: the extras `test` and `dev`", ["test", "dev"]),
        ("For the benchmark: the extra `bench`", ["bench"]),
        ("For the site: the extra `docs`", ["docs"]),
    ],
)
def test_every_dependency_has_its_row(title: str, extras: list[str]) -> None:
    """Each row has purpose, maintainer, consequence and replacement; there is no row without a dependency."""
    found = rows(title)
    libraries = [name for row in found for name in re.findall(r"`([^`]+)`", row[0])]
    assert len(libraries) == len(set(libraries))
    # Tests also need what the extras of users have.
    of_users = {"postgresql", "replica", "testing"}
    own = set() if of_users & set(extras) else set().union(*(declared()[extra] for extra in of_users))
    assert set(libraries) == set().union(*(declared()[extra] for extra in extras)) - own
    assert set(declared()) == {"run", *of_users, "test", "dev", "bench", "docs"}, "an extra without a table"
    for row in found:
        assert len(row) == 5, row
        assert all(row), row


def imported() -> dict[str, set[str]]:
    """Top-level package of a library -> the files of postroom that import it."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in ("app", "schemas", "storage") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                found.setdefault(module.partition(".")[0], set()).add(str(path.relative_to(ROOT)))
    return {name: files for name, files in found.items() if name not in {*sys.stdlib_module_names, "postroom"}}


def test_whatever_is_imported_is_declared() -> None:
    """No import depends on a dependency of another library, and every declared dependency is used."""
    homes = packages_distributions()
    used = {distribution.replace("_", "-") for package in imported() for distribution in homes[package]}
    found = declared()
    # Whoever loads the plugin of pytest has pytest.
    used -= {"pytest"}
    assert used <= found["run"] | found["postgresql"] | found["testing"], "imported, and not in install_requires"
    assert found["run"] - used == NOT_IMPORTED


def test_what_private_parts_are_used_of_has_an_upper_bound() -> None:
    """A library whose private parts are in use has an upper bound on its version."""
    from tests.test_private_parts import PARTS

    lines = (setup_cfg()["options"]["install_requires"]).splitlines()
    bounded = {next(iter(names(line))) for line in lines if re.search(r"<\d|==", line)}
    assert {library for library, _ in PARTS} <= bounded


def test_the_tests_have_what_the_extras_of_the_service_have() -> None:
    """Each extra of the service, with its versions, is in the extra `test`."""
    extras = setup_cfg()["options.extras_require"]
    assert set(extras["postgresql"].split()) | set(extras["testing"].split()) <= set(extras["test"].split())


def test_no_warning_of_a_library_is_ignored() -> None:
    """In the tests every warning is an error, without an exception."""
    assert setup_cfg()["tool:pytest"]["filterwarnings"].split() == ["error"]
