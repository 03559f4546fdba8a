"""Finds the private names of libraries that our classes use, from the source, so that none is overlooked."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Use(NamedTuple):
    """A private name of a library's class that our code uses."""

    library: str
    owner: str
    name: str


def modules() -> Iterator[str]:
    """Every module of postroom."""
    for package in ("postroom.app", "postroom.schemas", "postroom.storage"):
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            yield found.name


def classes() -> Iterator[type]:
    """Every class of postroom that derives from a class of a library."""
    for name in modules():
        for each in vars(importlib.import_module(name)).values():
            if inspect.isclass(each) and each.__module__ == name and theirs(each):
                yield each


def is_ours(made: type) -> bool:
    """Whether the class is one of postroom's."""
    return made.__module__.startswith("postroom.")


def theirs(made: type) -> list[type]:
    """The library classes among the bases of one of our classes."""
    return [
        base
        for base in made.__mro__
        if not is_ours(base) and base.__module__.partition(".")[0] not in sys.stdlib_module_names
    ]


def is_private(name: str) -> bool:
    """`_one`, and not `__init__`."""
    return name.startswith("_") and not name.startswith("__")


def source(made: type) -> ast.AST:
    """The text of the class."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(made)))
    except OSError:
        # Made by a function, like a named tuple: it has no source.
        return ast.Module(body=[], type_ignores=[])


def names_in(made: type) -> tuple[set[str], set[str]]:
    """The private names that a class defines in its source, and those that it uses."""
    makes: set[str] = set()
    uses: set[str] = set()
    for node in ast.walk(source(made)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            makes.add(node.name)
        elif isinstance(node, ast.Attribute) and (
            isinstance(node.value, ast.Call) or (isinstance(node.value, ast.Name) and node.value.id == "self")
        ):
            (makes if isinstance(node.ctx, ast.Store) else uses).add(node.attr)
    return {name for name in makes if is_private(name)}, {name for name in uses if is_private(name)}


def uses() -> set[Use]:
    """Every private name of a library's class that a class of ours uses, overrides or sets."""
    found = set()
    for made in classes():
        ours = {name for base in made.__mro__ if is_ours(base) for name in names_in(base)[0] | set(vars(base))}
        makes, used = names_in(made)
        for name in makes | used:
            owners = [base for base in theirs(made) if name in vars(base)]
            if not owners and name in ours:
                continue
            # The class that defines the name first; unknown for an attribute that only instances have.
            owner = owners[-1] if owners else theirs(made)[0]
            found.add(Use(owner.__module__.partition(".")[0], owner.__name__, name))
    for path in (path for folder in ("app", "schemas", "storage") for path in (ROOT / folder).rglob("*.py")):
        # Of an object of another class; ruff refuses what is not marked like this.
        for line in path.read_text("utf-8").splitlines():
            for name in re.findall(r"\.(_\w+)", line) if "noqa: SLF001" in line else ():
                found.add(Use("aiohttp", "BaseRequest" if name == "_cache" else "RequestHandler", name))
    return found
