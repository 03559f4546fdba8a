"""Runs the five minutes of docs/getting-started.md: `python -m tests.demo`.

It runs each command of the page unchanged, against a fresh postroom and a throw-away OpenLDAP server on free ports,
and shows its response. It leaves no process and no file behind.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax

from tests.support.slapd import Slapd, SlapdError, people_ldif

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "getting-started.md"
PASSWORD = "open sesame"


class DemoError(Exception):
    """A step failed; the text says which one, with its response."""


def steps() -> list[tuple[str, str]]:
    """(text of the page, command) for each command of its five minutes."""
    text = PAGE.read_text("utf-8")
    return commands(text.partition("## Five minutes\n")[2].partition("\n## ")[0])


def commands(section: str) -> list[tuple[str, str]]:
    """(text before it, command) for each block marked `sh`."""
    found: list[tuple[str, str]] = []
    block: list[str] | None = None
    explanation: list[str] = []
    for line in section.splitlines():
        if line.startswith("```") and block is None:
            block, language = [], line.removeprefix("```")
        elif line == "```" and block is not None:
            if language == "sh":
                found.append((" ".join(explanation), "\n".join(block)))
            block, explanation = None, []
        elif block is None:
            explanation += line.split()
        else:
            block.append(line)
    return found


@contextmanager
def running_postroom(folder: Path) -> Iterator[str]:
    """A fresh service on a free port; gives its URL."""
    with subprocess.Popen(
        [Path(sys.executable).with_name("postroom"), "serve", "--port", "0", "--database", folder / "demo.sqlite3"],
        env={**os.environ, "POSTROOM_ADMIN_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            match = re.search(r"listens on (http://\S+)", first)
            if match is None:
                raise DemoError(f"postroom did not start: {first}{process.stdout.read()}")
            yield match[1]
        finally:
            process.terminate()


class Shell:
    """Runs commands one after the other; each has the variables that earlier ones set."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.state = folder / "variables"
        self.state.write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))

    def run(self, command: str) -> str:
        """The output of the command. Raises DemoError when it fails or its response is an error."""
        script = f"set -eu -o pipefail; source '{self.state}'\n{command}\nfor name in API LDAP TOKEN CSRF OBJECT; do\n"
        script += f"declare -p $name 2>/dev/null || true; done >'{self.state}'"
        result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
        if result.returncode or ('{"message":"' in result.stdout and '"errors"' in result.stdout):
            raise DemoError(f"This did not work: {command}\n{result.stdout}{result.stderr}")
        return result.stdout.strip()


def main() -> None:
    """Shows every step."""
    console = Console(highlight=False)
    try:
        with tempfile.TemporaryDirectory() as name, Slapd() as directory:
            directory.add(people_ldif(12))
            with running_postroom(Path(name)) as url:
                play(console, Shell(Path(name), API=f"{url}/api/v1", LDAP=directory.url))
    except (DemoError, SlapdError) as error:
        console.print(str(error), style="red")
        sys.exit(1)
    console.print("\nThat was all: postroom and the directory have been stopped.")


def play(console: Console, shell: Shell) -> None:
    """Runs the steps and shows each with its response."""
    everything = steps()
    for number, (explanation, command) in enumerate(everything, 1):
        console.rule(f"{number} of {len(everything)}", align="left")
        if explanation:
            console.print(explanation, style="bold")
        console.print(Syntax(command, "bash", background_color="default", word_wrap=True))
        answer = shell.run(command)
        if answer:
            pretty = json.dumps(json.loads(answer), indent=2, ensure_ascii=False)
            console.print(Syntax(pretty, "json", background_color="default", word_wrap=True))
        else:
            # The command only sets a variable for the next ones.
            console.print("(remembered)", style="dim")


if __name__ == "__main__":
    main()
