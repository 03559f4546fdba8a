"""The layout: which package may import which, where code belongs, and names. `docs/design.md` draws it."""

import ast
import configparser
import re
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Package -> the packages below it that it may import. A module belongs to the longest of these names that it begins
#: with: "app" has what puts the others together (routes, wiring, main).
PACKAGES: dict[str, set[str]] = {
    "schemas.values": set(),
    "schemas": {"schemas.values"},
    "schemas.responses": {"schemas", "schemas.values"},
    "storage": {"schemas.values"},
    "app.errors": set(),
    "app.logs": set(),
    "app.clock": set(),
    "app.settings": set(),
    "app.sources": {"app.settings"},
    "app.parsers": {"app.settings"},
    "app.config": {"app.parsers", "app.settings", "app.sources"},
    "app.limits": {"app.errors", "app.config", "app.settings"},
    "app.metrics": {"app.errors"},
    "app.auth": {"app.clock", "app.errors", "app.limits", "schemas", "schemas.values", "storage"},
    "app.directory": {"app.errors", "app.limits", "schemas", "schemas.values", "storage"},
    "app.transactions": {"app.errors", "app.auth", "app.directory", "schemas", "schemas.values", "storage"},
    "app.services": {
        "app.clock", "app.errors", "app.auth", "app.config", "app.directory", "app.limits", "app.metrics",
        "app.transactions", "schemas", "schemas.values", "storage",
    },
    "app.web": {
        "app.errors", "app.auth", "app.settings", "app.limits", "app.logs", "app.metrics", "app.services",
        "app.transactions", "schemas", "schemas.values", "storage",
    },
    "app.mail": {"app.limits", "app.services", "app.transactions", "schemas", "schemas.values", "storage"},
    "app.exchange": {
        "app.errors", "app.services", "app.transactions", "app.web", "schemas", "schemas.values", "storage"
    },
    "app.openapi": {"app.web", "schemas", "schemas.responses"},
    "app.handlers": {
        "app.errors", "app.auth", "app.limits", "app.metrics", "app.openapi.decorators", "app.services",
        "app.transactions", "app.web", "schemas", "schemas.responses", "schemas.values", "storage",
    },
    "app": {
        "app.auth", "app.clock", "app.config", "app.directory", "app.handlers", "app.limits", "app.metrics",
        "app.openapi", "app.services", "app.web", "storage",
    },
    "app.server": {
        "app", "app.config", "app.errors", "app.limits", "app.logs", "app.mail", "app.metrics", "app.services",
        "app.web", "storage",
    },
    "app.testing": {
        "app", "app.auth", "app.clock", "app.config", "app.directory", "app.errors", "app.limits", "app.openapi",
        "app.server", "app.services", "app.transactions", "app.web", "schemas", "storage",
    },
    "app.pytest_plugin": {"app.testing"},
    "app.control": {
        "app", "app.config", "app.errors", "app.openapi", "app.server", "app.sources", "app.testing", "app.web",
        "schemas", "schemas.responses", "storage",
    },
    "app.cli": {
        "app.clock", "app.config", "app.control", "app.directory", "app.errors", "app.exchange", "app.logs",
        "app.mail", "app.server", "app.services", "app.settings", "app.sources", "app.testing", "app.web", "app",
        "schemas", "schemas.values", "storage",
    },
}  # fmt: skip

_POSTGRESQL = ("connection", "faults", "migrating", "opening", "sessions")
#: Libraries that only one module imports.
ONLY_IN = {
    "aiosqlite": {"storage/connections.py"},
    "pysqlite3": {"storage/sqlite.py"},
    "sqlite3": {"storage/sqlite.py"},
    "bonsai": {"app/directory/connection.py", "app/directory/session.py"},
    "psycopg": {
        f"storage/postgresql/{name}.py"
        for name in ("connection", "faults", "migrating", "moving", "opening", "sessions")
    },
    "legacycrypt": {"app/auth/passwords.py"},
    "argon2": {"app/auth/passwords.py", "app/testing/passwords.py"},
    "prometheus_client": {"app/metrics/exposition.py"},
    "jwt": {"app/auth/claims.py"},
    "aiohttp_apispec": {"app/openapi/decorators.py"},
}


def sources(*folders: str) -> list[Path]:
    """Every source file of these folders."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def imports(path: Path) -> set[str]:
    """The modules that a file imports, and each name that it imports from one."""
    return imported_by(ast.parse(path.read_text("utf-8")), path)


def imported_by(tree: ast.AST, path: Path | None = None) -> set[str]:
    """The same for a part of a file."""
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            imported |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return imported


def inner_imports(path: Path, name: str) -> set[str]:
    """What a function of a file imports when it is called, and nothing else in the file does."""
    (function,) = [each for each in functions(path) if each.name == name]
    lines = path.read_text("utf-8").splitlines()
    inside = range(function.lineno - 1, function.end_lineno or 0)
    without = "\n".join("" if number in inside else line for number, line in enumerate(lines))
    return imports(path) - imported_by(ast.parse(without))


def module_of(path: Path) -> str:
    """`app/web/forms.py` -> `app.web.forms`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def source_of(name: str) -> str:
    """`postroom.storage.users` -> `storage.users`; setup.cfg installs app/testing as postroom.testing."""
    return re.sub(r"^(testing|pytest_plugin)\b", r"app.\1", name.removeprefix("postroom."))


def package_of(module: str) -> str:
    """The package that a module belongs to."""
    return max((package for package in PACKAGES if module == package or module.startswith(package + ".")), key=len)


def uses() -> dict[str, set[str]]:
    """Package -> the modules of other packages that it really imports."""
    # An empty __init__.py is no module that could be imported for anything.
    modules = {module_of(path): path for path in sources("app", "schemas", "storage") if path.stat().st_size}
    found: dict[str, set[str]] = {package: set() for package in PACKAGES}
    for module, path in modules.items():
        imported = {source_of(name) for name in imports(path)} & modules.keys()
        found[package_of(module)] |= {name for name in imported if package_of(name) != package_of(module)}
    return found


def test_packages_import_only_packages_below() -> None:
    """A package imports only the packages below it."""
    wrong = [
        f"{package} imports {module}"
        for package, modules in uses().items()
        for module in modules
        if package_of(module) not in PACKAGES[package] and module not in PACKAGES[package]
    ]
    assert not wrong


def test_every_allowed_import_is_used() -> None:
    """Every import that the table allows exists: remove an entry that is not needed any more."""
    unused = [
        f"{package} -> {each}"
        for package, modules in uses().items()
        for each in PACKAGES[package]
        if each not in modules and each not in {package_of(module) for module in modules}
    ]
    assert not unused


def below(arrows: Mapping[str, Set[str]], package: str) -> set[str]:
    """The packages that a package imports, directly or indirectly. Fails when it is one of them itself."""
    found: set[str] = set()
    waiting = set(arrows.get(package, ()))
    while waiting:
        found |= waiting
        waiting = {each for used in waiting for each in arrows.get(used, ())} - found
    assert package not in found, f"{package} imports itself through others"
    return found


def test_the_drawing_is_true() -> None:
    """`docs/design.md` draws each package above those that it imports. Indirect arrows are left out."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    (drawing,) = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    named = {short: "app" if short == "main" else f"app.{short}" for short in re.findall(r"\w+", drawing)}
    drawn: dict[str, set[str]] = {}
    for upper, lower in re.findall(r"^ +([\w.]+) --> ([\w.]+)$", drawing, re.MULTILINE):
        one, other = (package if package in PACKAGES else named[package] for package in (upper, lower))
        drawn.setdefault(one, set()).add(other)
    real = {package: {package_of(module) for module in modules} for package, modules in uses().items()}
    for package in PACKAGES:
        assert below(drawn, package) == below(real, package), package


def test_libraries_stay_where_they_belong() -> None:
    """Only the module that wraps a library imports it."""
    for path in sources("app", "schemas", "storage"):
        for library, homes in ONLY_IN.items():
            if any(name == library or name.startswith(library + ".") for name in imports(path)):
                assert str(path.relative_to(ROOT)) in homes, f"{path} imports {library}"


#: What knows SQLite: opening it, its threads and transactions, its failures. Everything else is written against
#: `storage.engine.Connection`.
SQLITE = {
    "app/main.py", "storage/backups/checking.py", "storage/backups/copying.py", "storage/backups/litestream.py",
    "storage/backups/replacing.py", "storage/backups/restoring.py", "storage/backups/taking.py",
    "storage/backups/verifying.py", "storage/checks/sqlite.py", "storage/claim.py", "storage/connections.py",
    "storage/ephemeral.py", "storage/faults.py", "storage/migration_copy.py", "storage/migrations/__init__.py",
    "storage/moving/sqlite.py", "storage/opening.py", "storage/sealed.py", "storage/searches.py", "storage/sqlite.py",
}  # fmt: skip


def test_few_files_know_the_engine() -> None:
    """Statements and rules need a connection only, whatever is behind it."""
    known = {
        str(path.relative_to(ROOT))
        for path in sources("app", "schemas", "storage")
        if any(name.startswith("postroom.storage.sqlite") for name in imports(path))
        or "from postroom.storage import sqlite\n" in path.read_text("utf-8")
    }
    assert known | {"storage/sqlite.py"} == SQLITE


def test_the_service_knows_nothing_of_the_harness() -> None:
    """Nothing but the harness itself and `postroom serve --ephemeral` reaches it, so no service that people use has its
    passwords or its stores.
    """
    for path in sources("app", "schemas", "storage"):
        found = imports(path)
        # Below these names they would be other modules.
        assert not any(re.match(r"postroom\.app\.(testing|pytest_plugin)\b", name) for name in found), path
        if not package_of(module_of(path)).startswith(("app.testing", "app.pytest_plugin", "app.control")):
            reached = {name for name in found if re.match(r"app\.(testing|pytest_plugin|control)\b", source_of(name))}
            # This one function runs with --ephemeral alone.
            allowed = inner_imports(path, "run") if path == ROOT / "app" / "cli" / "ephemeral.py" else set()
            assert reached <= allowed, path
            assert "storage.ephemeral" not in path.read_text("utf-8"), path


def test_the_wheel_has_every_package() -> None:
    """A folder that setup.cfg does not name works from here, and is missing for everybody else."""
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg", "utf-8")
    named = set(options["options"]["packages"].split())
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for folder in ("app", "schemas", "storage")
        for path in (ROOT / folder).rglob("__init__.py")
    }
    elsewhere = {"app.testing": "testing", "app.pytest_plugin": "pytest_plugin"}
    assert named == {f"postroom.{elsewhere.get(package, package)}" for package in found}


def test_the_environment_is_read_in_one_place() -> None:
    """Only app/config.py reads settings from the environment, and app/cli/places.py where a command works."""
    places = {ROOT / "app" / "config.py", ROOT / "app" / "cli" / "places.py"}
    for path in sources("app", "schemas", "storage"):
        text = path.read_text("utf-8")
        assert "os.environ" not in text or path in places, path
        assert "getenv" not in text, path


#: Files that read the time of day themselves, and why.
READ_THE_TIME = {
    "app/clock.py": "the clock",
    "app/testing/clock.py": "the clock of a test",
    "app/transactions/clock.py": "signs of life between processes of this machine",
    "app/server/protocol.py": "the order of request IDs",
    "app/server/raw_responses.py": "the same",
    "app/server/tls.py": "whether a certificate has expired",
    "app/services/backups.py": "when backups were taken, which are files of the machine",
    "app/services/units.py": "when services of this machine began",
    "storage/backups/folder.py": "names of files",
    "storage/backups/replacing.py": "names of files",
    "storage/backups/replicating.py": "how long ago a state was replicated",
    "storage/backups/restoring.py": "when a backup was restored",
    "storage/backups/taking.py": "when a backup was taken",
    "storage/moving/mover.py": "signs of life between processes",
}


def test_one_clock_for_the_service() -> None:
    """Everything else asks the clock that it is given, so that the server of a test can have another."""
    readings = re.compile(r"\btime\.time\(|datetime\.now\(|date\.today\(|\butcnow\(")
    found = {
        str(path.relative_to(ROOT))
        for path in sources("app", "schemas", "storage")
        if readings.search(path.read_text("utf-8"))
    }
    assert found == READ_THE_TIME.keys()
    users = {
        str(path.relative_to(ROOT))
        for path in sources("app", "schemas", "storage")
        if "postroom.app.transactions.clock" in imports(path)
    }
    assert users == {"app/services/tasks.py", "app/transactions/tasks.py"}


def test_sql_stays_in_storage() -> None:
    """SQL is in storage/ only."""
    for path in sources("app", "schemas"):
        for word in ("SELECT ", "INSERT INTO", "UPDATE users", "DELETE FROM"):
            assert word not in path.read_text("utf-8"), f"{path}: {word}"


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a module, without the methods of its classes."""
    return [
        node
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def first_argument(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The name of its first argument, or nothing."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    return arguments[0].arg if arguments else ""


def test_a_transaction_waits_for_nothing() -> None:
    """Functions in app/transactions/ run from beginning to end on the writer: no coroutine, no context."""
    for path in sources("app/transactions"):
        text = path.read_text("utf-8")
        assert not re.search(r"^\s*async |\bawait ", text, re.MULTILINE), path
        assert "postroom.app.services.context" not in text, path


def test_a_service_hands_out_no_transactions() -> None:
    """A function of app/services/ that takes a connection is private to its module."""
    for path in sources("app/services"):
        for function in functions(path):
            assert first_argument(function) != "connection" or function.name.startswith("_"), f"{path}: {function.name}"


def test_the_name_of_a_query_says_where_it_runs() -> None:
    """In storage/, `select_` is a coroutine that asks the database; on a connection there are three names for a read.

    `find_` returns one row or None, `list_` all rows, `read_` a whole document.
    """
    for path in sources("storage"):
        for function in functions(path):
            name, where = function.name.removeprefix("_"), f"{path}: {function.name}"
            if name.startswith("select_"):
                assert isinstance(function, ast.AsyncFunctionDef), where
            if re.match(r"(find|list|read)_", name) and first_argument(function) in ("connection", "database"):
                assert first_argument(function) == "connection", where
            if isinstance(function, ast.AsyncFunctionDef) and first_argument(function) == "database":
                assert name.startswith("select_"), where


def test_files_fit_two_screens() -> None:
    """A file of more than 250 lines holds more than one thing."""
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in sources("app", "schemas", "storage")}
    assert not [f"{path.relative_to(ROOT)}: {number}" for path, number in lines.items() if number > 250]
