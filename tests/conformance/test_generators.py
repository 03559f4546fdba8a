"""Clients made by the generators of docs/clients.md from the served description run through a user's whole life."""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.conftest import StartService
from tests.demo import PASSWORD, running_postroom
from tests.support.generators import ROOT, Workshop, commands, complaints, environment, files, need_programs
from tests.support.service import Api
from tests.support.slapd import Slapd, config_document, people_ldif

# Each test may be the one that generates and compiles everything.
pytestmark = [pytest.mark.generators, pytest.mark.slapd, pytest.mark.timeout(300)]

GENERATORS = [
    "openapi-typescript and openapi-fetch",
    "@hey-api/openapi-ts",
    "orval",
    "openapi-generator for TypeScript",
    "openapi-generator for Python",
    "openapi-generator for Ruby",
    "openapi-python-client",
]

PYTHON = [sys.executable, "-W", "error::SyntaxWarning"]
RUBY = ["ruby", "-I", "openapi_generator_ruby/lib"]

#: Each runs through a whole life; test_generated_client.py has that of openapi-python-client.
LIVES = [
    ["node", "out/openapi_fetch.js"],
    ["node", "out/hey_api.js"],
    ["node", "out/orval.js"],
    ["node", "out/openapi_generator.js"],
    [*PYTHON, "openapi_generator.py"],
    [*RUBY, "openapi_generator.rb"],
]
#: The examples of the page.
EXAMPLES = [
    ["node", "out/openapi_fetch_example.js"],
    ["node", "out/hey_api_example.js"],
    ["node", "out/orval_example.js"],
    ["node", "out/openapi_generator_example.js"],
    [*PYTHON, "openapi_generator_example.py"],
    [*PYTHON, "openapi_python_client_example.py"],
    [*RUBY, "openapi_generator_example.rb"],
]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A folder with all clients, generated from a running service."""
    need_programs()
    with running_postroom(tmp_path_factory.mktemp("postroom")) as url:
        return Workshop(tmp_path_factory.mktemp("clients"), url)


@pytest.fixture(scope="module")
def compiled(workshop: Workshop) -> CompletedProcess[str]:
    """The compiler's run over all generated TypeScript, and the programs that use it."""
    return workshop.run("npx", "tsc", "--project", "tsconfig.json")


@pytest.fixture(scope="module")
def directory() -> Iterator[Slapd]:
    """A directory with a few people."""
    with Slapd() as server:
        server.add(people_ldif(12))
        yield server


@pytest.fixture
async def admin(start_service: StartService, directory: Slapd) -> Api:
    """A fresh service with the page's password and a directory; its responses are compared with its description."""
    service = await start_service(admin_password=PASSWORD)
    admin = await service.login("admin", PASSWORD)
    await admin.put("/system/mconf/ldap", config_document(directory))
    return admin


def test_page_has_every_generator() -> None:
    """The tests cover exactly the commands of the page, and every program of the page is run or used."""
    assert list(commands()) == GENERATORS
    run = {Path(command[-1]).stem for command in EXAMPLES}
    assert {Path(name).stem for name in files()} == run | {"orval.config", "orval_fetch", "openapi_python_client"}


@pytest.mark.parametrize("name", GENERATORS)
def test_generation_has_no_warnings(workshop: Workshop, name: str) -> None:
    """The generator succeeds, without an unexpected warning."""
    run = workshop.runs[name]
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-5000:]
    assert complaints(run) == []


def test_typescript_compiles(compiled: CompletedProcess[str]) -> None:
    """All generated code compiles unchanged in strict mode; types.ts asserts its types."""
    assert (compiled.returncode, compiled.stdout + compiled.stderr) == (0, "")


def test_compiler_looks_at_types(workshop: Workshop, compiled: CompletedProcess[str]) -> None:
    """A type that differs from types.ts is an error, so the check works."""
    folder = workshop.folder / "wrong"
    folder.mkdir()
    shutil.copy(workshop.folder / "schema.ts", folder)
    checked = (workshop.folder / "types.ts").read_text()
    head = checked.partition("// A reference")[0]
    lines = [line for line in head.splitlines() if not line.startswith("import type * as")]
    wrong = 'same<Fetch["User"]["forward"], Fetch["Forward"] | undefined>(true);'
    (folder / "types.ts").write_text("\n".join([*lines, wrong]))
    run = workshop.run("npx", "tsc", "--noEmit", "--strict", "--skipLibCheck", "--types", "", "wrong/types.ts")
    assert run.returncode != 0
    assert run.stdout.count("error") == 1


@pytest.mark.parametrize("command", LIVES, ids=lambda command: command[-1])
async def test_whole_life_of_a_user(
    workshop: Workshop, compiled: CompletedProcess[str], admin: Api, command: list[str]
) -> None:
    """Login, users, lists, changes, nulls, the lists of a user, roles, the directory, and errors by generated code."""
    assert await _output(workshop, admin, command) == "A whole life\n"


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda command: command[-1])
async def test_example_of_the_page(
    workshop: Workshop, compiled: CompletedProcess[str], admin: Api, command: list[str]
) -> None:
    """The example lists the domains."""
    domain = await admin.make_domain("example.org")
    assert await _output(workshop, admin, command) == f"{domain} example.org\n"


async def _output(workshop: Workshop, admin: Api, command: list[str]) -> str:
    # Python finds the package as if `pip install` had installed it.
    variables = {"API": f"{admin.service.url}/api/v1", "PASSWORD": PASSWORD, "PYTHONPATH": "openapi_generator_python"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=workshop.folder, env={**environment(), **variables},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output
    return output


def test_lock_file_names_no_registry() -> None:
    """Packages come from the registry that npm is configured with."""
    text = (ROOT / "tests" / "conformance" / "clients" / "package-lock.json").read_text()
    assert '"integrity"' in text
    assert '"resolved"' not in text
