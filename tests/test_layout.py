"""The direction of imports: routes -> handlers -> schemas, services -> storage, and nothing walks back."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Who may import whom within the project; a module is named by the longest of these that it begins with.
ALLOWED = {
    "postroom.storage": {"postroom.storage"},
    "postroom.schemas": {"postroom.schemas", "postroom.storage"},
    "postroom.app.directory": {
        "postroom.app.directory", "postroom.app.errors", "postroom.app.turns", "postroom.schemas", "postroom.storage",
    },
    "postroom.app.services": {
        "postroom.app.services", "postroom.app.directory", "postroom.app.context", "postroom.app.errors",
        "postroom.app.etags", "postroom.app.passwords", "postroom.app.permissions", "postroom.app.throttle",
        "postroom.app.tokens", "postroom.schemas", "postroom.storage",
    },
    "postroom.app.handlers": {
        "postroom.app.services", "postroom.app.answers", "postroom.app.callers", "postroom.app.context",
        "postroom.app.describe", "postroom.app.errors", "postroom.app.etags", "postroom.app.forms",
        "postroom.app.guard", "postroom.app.inputs",
        "postroom.app.lookups",
        "postroom.app.openapi", "postroom.app.passwords", "postroom.app.permissions", "postroom.app.trust",
        "postroom.schemas", "postroom.storage",
    },
}  # fmt: skip

#: Libraries that one module alone knows.
ONLY_IN = {
    "aiosqlite": {"storage/connections.py"},
    "bonsai": {"app/directory/connection.py", "app/directory/session.py"},
    "legacycrypt": {"app/passwords.py"},
    "argon2": {"app/passwords.py"},
    "jwt": {"app/tokens.py"},
    "aiohttp_apispec": {"app/describe.py"},
}


def sources() -> list[tuple[str, set[str]]]:
    """(path from the root, the modules imported there) of every source file."""
    found = []
    for folder in ("app", "schemas", "storage"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            imported: set[str] = set()
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{path}: relative import"
                    module = node.module or ""
                    imported |= {module} | {f"{module}.{alias.name}" for alias in node.names}
            found.append((str(path.relative_to(ROOT)), imported))
    return found


def test_nothing_walks_back() -> None:
    """A package imports only what stands below it."""
    wrong = []
    for path, imported in sources():
        module = "postroom." + path.removesuffix(".py").replace("/", ".")
        package = max((name for name in ALLOWED if module.startswith(name)), key=len, default=None)
        if package is None:
            continue
        for name in imported:
            inside = name.startswith("postroom.") and name not in ("postroom.app", "postroom")
            if inside and not any(name == allowed or name.startswith(allowed + ".") for allowed in ALLOWED[package]):
                wrong.append(f"{path} imports {name}")
    assert not wrong


def test_libraries_stay_where_they_belong() -> None:
    """A library that one module wraps is imported by no other."""
    for path, imported in sources():
        for library, homes in ONLY_IN.items():
            if any(name == library or name.startswith(library + ".") for name in imported):
                assert path in homes, f"{path} imports {library}"


def test_the_environment_is_read_in_one_place() -> None:
    """No module but app/config.py looks at the environment."""
    for folder in ("app", "schemas", "storage"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            assert "os.environ" not in text or path == ROOT / "app" / "config.py", path
            assert "getenv" not in text, path


def test_sql_stays_in_storage() -> None:
    """No statement stands outside storage/."""
    for folder in ("app", "schemas"):
        for path in (ROOT / folder).rglob("*.py"):
            for word in ("SELECT ", "INSERT INTO", "UPDATE users", "DELETE FROM"):
                assert word not in path.read_text("utf-8"), f"{path}: {word}"
