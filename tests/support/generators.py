"""Generated clients: runs the commands of docs/clients.md and writes its files in a folder."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

#: The programs that use the clients, and the packages of npm.
CLIENTS: Final = ROOT / "tests" / "conformance" / "clients"

#: The URL of postroom on the page.
SHOWN: Final = "http://127.0.0.1:8080"

#: Accepted messages of a generator: they cannot be avoided, and the client is complete.
KNOWN: Final = (
    # It looks up an alternative without a name, because that is not a schema of its own, and goes on.
    r"Failed to get the schema name: null",
    # A schema is called Error and a parameter `import`: names of the public API that are reserved in the language.
    r"Error \(model name matches existing language type\) cannot be used .* Renamed to ModelError",
    r"Import \(reserved word\) cannot be used .* Renamed to ModelImport",
)


def page() -> str:
    """The section of docs/clients.md on generated clients."""
    text = (ROOT / "docs" / "clients.md").read_text("utf-8")
    return text.partition("\n## Generated clients\n")[2].partition("\n## ")[0]


def commands() -> dict[str, str]:
    """The command of each generator by the heading it stands below."""
    sections = re.split(r"^### ", page(), flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: command
        for section in sections
        for command in re.findall(r"^```console\n\$ (.*)\n```$", section, re.MULTILINE)
    }


def files() -> dict[str, str]:
    """The files of the page by name; the first line of each has its name."""
    found = re.findall(r"^```\w+\n(?://|#) (\S+\.\w+)\n(.*?)^```$", page(), re.MULTILINE | re.DOTALL)
    return dict(found)


class Workshop:
    """A folder in which the commands run, and the programs that use the generated clients."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._url = url
        shutil.copytree(CLIENTS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
        for name, text in files().items():
            (folder / name).write_text(text.replace(SHOWN, url))
        # Two at a time: most of them use one core.
        with ThreadPoolExecutor(2) as pool:
            self.runs = dict(zip(commands(), pool.map(self._generate, commands().values()), strict=True))

    def _generate(self, command: str) -> subprocess.CompletedProcess[str]:
        return self.run(*command.replace(SHOWN, self._url).split())

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs a program in the folder."""
        return subprocess.run(
            command, cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def environment() -> dict[str, str]:
    """The environment: PATH with the programs of the page, a faster start of Java, and npm offline."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "JAVA_OPTS": "-XX:TieredStopAtLevel=1", "npm_config_offline": "true"}


def complaints(run: subprocess.CompletedProcess[str]) -> list[str]:
    """The unexpected warnings and errors of a generator."""
    lines = [line for line in (run.stdout + run.stderr).splitlines() if re.search("warn|error", line, re.IGNORECASE)]
    # What it writes may be called so.
    lines = [line for line in lines if " INFO " not in line]
    return [line for line in lines if not any(re.search(known, line) for known in KNOWN)]


def need_programs() -> None:
    """Fails with a sentence when a generator, or a program that runs its clients, is missing. Nothing is skipped."""
    missing = [name for name in ("node", "npx", "java", "ruby") if shutil.which(name) is None]
    if not (CLIENTS / "node_modules" / ".installed").exists():
        missing.append("the packages of tests/conformance/clients/package.json")
    if missing:
        pytest.fail(
            f"Not installed: {', '.join(missing)}. `make test` installs it; without: pytest -m 'not generators'",
            pytrace=False,
        )
