"""`examples/` shows how to test a client in other languages: its programs run, and docs/testing.md shows parts."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.generators import CLIENTS, need_programs

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8").partition("\n## From any language\n")[2]

pytestmark = pytest.mark.generators


def output_of(*command: str | Path, cwd: Path = ROOT, **environ: str) -> str:
    """What a program prints that has to succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        command, cwd=cwd, env={**os.environ, "PATH": path, **environ}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    return run.stdout


def test_shell() -> None:
    """curl and jq."""
    assert output_of(EXAMPLES / "testing.sh").endswith("Passed\n")


def test_a_server_that_cannot_start(tmp_path: Path) -> None:
    """Ends the script, which would wait for it for ever."""
    shutil.copy(EXAMPLES / "testing.sh", tmp_path)
    run = subprocess.run(
        ["sh", tmp_path / "testing.sh"], env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 1
    assert "seed.json cannot be read" in run.stderr


def test_node() -> None:
    """fetch and node --test."""
    assert "# pass 2\n" in output_of("node", "--test", "--test-reporter=tap", EXAMPLES / "testing.test.mjs")


def test_typescript(tmp_path: Path) -> None:
    """The client and the calls of the controls are generated from the descriptions, and compile in strict mode."""
    need_programs()
    folder = tmp_path / "typescript"
    shutil.copytree(EXAMPLES / "typescript", folder)
    (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
    postroom = str(Path(sys.executable).with_name("postroom"))
    command = [postroom, "serve", "--ephemeral", "--port", "0", "--ready-fd", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            output_of("npm", "run", "generate", cwd=folder, POSTROOM=url, npm_config_offline="true")
        finally:
            server.kill()
    assert "pass 2\n" in output_of("npm", "test", cwd=folder, npm_config_offline="true")


def test_versions_are_those_that_are_installed_for_tests() -> None:
    """package.json names the generator that the other tests use."""
    ours = json.loads((CLIENTS / "package.json").read_text("utf-8"))["devDependencies"]
    shown = json.loads((EXAMPLES / "typescript" / "package.json").read_text("utf-8"))["devDependencies"]
    assert shown.items() <= ours.items()


def test_the_page_shows_what_runs() -> None:
    """Every line of shell and JavaScript on the page is in the examples."""
    for language, file in (("sh", "testing.sh"), ("js", "testing.test.mjs")):
        blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
        assert blocks
        for block in blocks:
            assert block.strip() in (EXAMPLES / file).read_text("utf-8"), block
