"""The house: which room may use which, what stands where, and how things are called. `docs/design.md` draws it."""

import ast
import re
from collections.abc import Mapping, Set
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Room -> the rooms below it that it may import. A module belongs to the longest of these names that it begins with:
#: "app" has what puts the others together (routes, wiring, main).
ROOMS: dict[str, set[str]] = {
    "schemas.values": set(),
    "schemas": {"schemas.values"},
    "schemas.responses": {"schemas", "schemas.values"},
    "storage": {"schemas.values"},
    "app.errors": set(),
    "app.logs": set(),
    "app.config": set(),
    "app.limits": {"app.errors", "app.config"},
    "app.auth": {"app.errors", "app.limits", "schemas", "schemas.values", "storage"},
    "app.directory": {"app.errors", "app.limits", "schemas", "schemas.values", "storage"},
    "app.transactions": {"app.errors", "app.auth", "app.directory", "schemas", "schemas.values", "storage"},
    "app.services": {
        "app.errors", "app.auth", "app.config", "app.directory", "app.limits", "app.transactions",
        "schemas", "schemas.values", "storage",
    },
    "app.web": {
        "app.errors", "app.auth", "app.config", "app.limits", "app.logs", "app.services",
        "app.transactions", "schemas", "schemas.values", "storage",
    },
    "app.openapi": {"app.web", "schemas", "schemas.responses"},
    "app.handlers": {
        "app.errors", "app.auth", "app.openapi.decorators", "app.services", "app.transactions",
        "app.web", "schemas", "schemas.responses", "schemas.values", "storage",
    },
    "app": {
        "app.auth", "app.config", "app.handlers", "app.limits", "app.openapi", "app.services", "app.web", "storage",
    },
    "app.server": {"app", "app.config", "app.errors", "app.limits", "app.logs", "app.web"},
    "app.cli": {
        "app.config", "app.directory", "app.errors", "app.logs", "app.server", "app.services", "app.web",
        "app", "schemas", "schemas.values", "storage",
    },
}  # fmt: skip

#: Libraries that one module alone knows.
ONLY_IN = {
    "aiosqlite": {"storage/connections.py"},
    "pysqlite3": {"storage/sqlite.py"},
    "sqlite3": {"storage/sqlite.py"},
    "bonsai": {"app/directory/connection.py", "app/directory/session.py"},
    "legacycrypt": {"app/auth/passwords.py"},
    "argon2": {"app/auth/passwords.py"},
    "jwt": {"app/auth/tokens.py"},
    "aiohttp_apispec": {"app/openapi/decorators.py"},
}


def sources(*folders: str) -> list[Path]:
    """Every source file of these folders."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """What a file imports: modules, and each name that it takes from one."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            imported |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return imported


def module_of(path: Path) -> str:
    """`app/web/forms.py` -> `app.web.forms`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room_of(module: str) -> str:
    """The room that a module belongs to."""
    return max((room for room in ROOMS if module == room or module.startswith(room + ".")), key=len)


def uses() -> dict[str, set[str]]:
    """Room -> the modules of other rooms that it really imports."""
    modules = {module_of(path): path for path in sources("app", "schemas", "storage")}
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module, path in modules.items():
        imported = {name.removeprefix("postroom.") for name in imports(path)} & modules.keys()
        found[room_of(module)] |= {name for name in imported if room_of(name) != room_of(module)}
    return found


def test_nothing_walks_back() -> None:
    """A room imports only the rooms below it."""
    wrong = [
        f"{room} imports {module}"
        for room, modules in uses().items()
        for module in modules
        if room_of(module) not in ROOMS[room] and module not in ROOMS[room]
    ]
    assert not wrong


def test_no_room_is_allowed_what_it_does_not_use() -> None:
    """What stands in the table is what is there: a direction that nobody needs any more goes."""
    unused = [
        f"{room} -> {each}"
        for room, modules in uses().items()
        for each in ROOMS[room]
        if each not in modules and each not in {room_of(module) for module in modules}
    ]
    assert not unused


def below(arrows: Mapping[str, Set[str]], room: str) -> set[str]:
    """The rooms that a room uses, and those that these use. Fails when the room is among them."""
    found: set[str] = set()
    waiting = set(arrows.get(room, ()))
    while waiting:
        found |= waiting
        waiting = {each for used in waiting for each in arrows.get(used, ())} - found
    assert room not in found, f"{room} goes in a circle"
    return found


def test_the_drawing_is_true() -> None:
    """`docs/design.md` draws each room above those that it uses. An arrow that others make up for is left out."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    (drawing,) = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    named = {short: "app" if short == "main" else f"app.{short}" for short in re.findall(r"\w+", drawing)}
    drawn: dict[str, set[str]] = {}
    for upper, lower in re.findall(r"^ +([\w.]+) --> ([\w.]+)$", drawing, re.MULTILINE):
        one, other = (room if room in ROOMS else named[room] for room in (upper, lower))
        drawn.setdefault(one, set()).add(other)
    real = {room: {room_of(module) for module in modules} for room, modules in uses().items()}
    for room in ROOMS:
        assert below(drawn, room) == below(real, room), room


def test_libraries_stay_where_they_belong() -> None:
    """A library that one module wraps is imported by no other."""
    for path in sources("app", "schemas", "storage"):
        for library, homes in ONLY_IN.items():
            if any(name == library or name.startswith(library + ".") for name in imports(path)):
                assert str(path.relative_to(ROOT)) in homes, f"{path} imports {library}"


def test_the_environment_is_read_in_one_place() -> None:
    """No module but app/config.py looks at the environment."""
    for path in sources("app", "schemas", "storage"):
        text = path.read_text("utf-8")
        assert "os.environ" not in text or path == ROOT / "app" / "config.py", path
        assert "getenv" not in text, path


def test_sql_stays_in_storage() -> None:
    """No statement stands outside storage/."""
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
    """What stands in app/transactions/ runs from beginning to end on the writer: no coroutine, no context."""
    for path in sources("app/transactions"):
        text = path.read_text("utf-8")
        assert not re.search(r"^\s*async |\bawait ", text, re.MULTILINE), path
        assert "postroom.app.services.context" not in text, path


def test_a_service_hands_out_no_transactions() -> None:
    """A function of app/services/ that takes a connection is a part of that service alone."""
    for path in sources("app/services"):
        for function in functions(path):
            assert first_argument(function) != "connection" or function.name.startswith("_"), f"{path}: {function.name}"


def test_the_name_of_a_query_says_where_it_runs() -> None:
    """In storage/, `select_` is a coroutine that asks the database; on a connection there are three names for a read.

    `find_` answers one row or None, `list_` all rows, `read_` a whole document.
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
