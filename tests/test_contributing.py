"""Every path, target, command and check in the pages for contributors exists."""

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PAGES = ["CONTRIBUTING.md", "SECURITY.md"]


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text("utf-8")


def commands(text: str) -> list[str]:
    """The texts in backticks, and the commands of console blocks without their comments."""
    console = re.findall(r"^\$ (.*?)(?:\s+#.*)?$", text, re.MULTILINE)
    return console + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def paths(text: str) -> set[str]:
    """The texts that look like a file or folder of the repository."""
    words = {word for command in commands(text) for word in command.split()}
    linked = set(re.findall(r"\]\((?!http)([^)#]+)\)", text))
    known = re.compile(
        r"(?:app|schemas|storage|tests|docs|\.ci|\.github)/[\w./-]*|[\w.-]+\.(?:md|cfg|toml)|\.editorconfig"
    )
    return linked | {word for word in words if known.fullmatch(word)}


@pytest.mark.parametrize("name", PAGES)
def test_every_path_exists(name: str) -> None:
    """No page names a missing file."""
    found = paths(page(name))
    assert found
    assert {path for path in found if not (ROOT / path).exists()} == set()


def test_every_target_exists() -> None:
    """Each `make …` is a target of the Makefile."""
    named = {
        target for command in commands(page("CONTRIBUTING.md")) for target in re.findall(r"^make ([\w-]+)", command)
    }
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
    assert {"install", "run", "test", "lint", "types"} <= named <= targets


def test_every_module_that_is_run_exists() -> None:
    """`python -m tests.conformance.examples` is a file that can be run."""
    modules = re.findall(r"python -m ([\w.]+)", page("CONTRIBUTING.md"))
    assert len(modules) == 3
    for module in modules:
        if module.startswith("tests."):
            assert '__name__ == "__main__"' in (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")


def test_tests_that_are_named_exist() -> None:
    """`-k` names a test of its file, and `-m` existing markers."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    markers = {line.partition(":")[0].strip() for line in config["tool:pytest"]["markers"].splitlines() if line}
    shown = [command for command in commands(page("CONTRIBUTING.md")) if command.startswith(".venv/bin/pytest")]
    assert len(shown) >= 5
    for command in shown:
        for file, name in re.findall(r"(tests/\S+\.py) -k (\w+)", command):
            assert re.search(rf"def test_\w*{name}", (ROOT / file).read_text("utf-8")), command
        for expression in re.findall(r"-m (\"[^\"]+\"|\w+)", command):
            assert set(re.findall(r"\w+", expression)) - {"not", "and", "or"} <= markers, command


def test_what_ci_runs_is_what_is_said() -> None:
    """Exactly the targets that .ci/run calls have a row, in the same order."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    asked = [word for line in re.findall(r"^make (.*)$", script, re.MULTILINE) for word in line.split()]
    section = page("CONTRIBUTING.md").split("## What CI runs")[1].split("\n## ")[0]
    said = re.findall(r"\| `make ([\w-]+)` \|", section)
    assert said == [target for target in asked if re.fullmatch(r"[a-z-]+", target)]


#: Words of the forge that are not headings of ours.
ELSEWHERE = {"Report a vulnerability", "Security"}


@pytest.mark.parametrize("name", PAGES)
def test_every_section_exists(name: str) -> None:
    """Each text in quotation marks with a capital is a heading of a page."""
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "CHANGELOG.md"]
    headings = {line for path in pages for line in re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)}
    assert set(re.findall(r'"([A-Z][^"]+)"', page(name))) - ELSEWHERE <= headings


def test_the_table_of_changed_rows_exists() -> None:
    """The table that the steps of a migration name exists."""
    assert re.search(r"^UNCHANGED = ", page("tests/storage/test_migrations.py"), re.MULTILINE)


def test_the_readme_leads_here() -> None:
    """The README links to the page."""
    assert "(CONTRIBUTING.md)" in page("README.md")


def test_hooks_check_what_make_checks() -> None:
    """Each hook of pre-commit is a line of `make lint` or a target, is local, and downloads nothing."""
    (repository,) = yaml.safe_load(page(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["pass_filenames"] is False
        entry: str = hook["entry"]
        if entry.startswith("make "):
            assert re.search(rf"^{entry.split()[-1]}:", MAKEFILE, re.MULTILINE), entry
            assert "--old-file=.venv/.installed" in entry.split()
        else:
            assert f"\t{entry.replace('.venv/bin', '$(BIN)')}\n" in MAKEFILE, entry


def test_an_editor_makes_the_lines_that_ruff_wants() -> None:
    """`.editorconfig` and `ruff.toml` set the same line length."""
    wanted = tomllib.loads(page("ruff.toml"))["line-length"]
    assert f"[*.py]\nmax_line_length = {wanted}\n" in page(".editorconfig")


def forms() -> list[Path]:
    """The forms for reports."""
    return sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("path", forms(), ids=lambda path: path.stem)
def test_forms_can_be_shown(path: Path) -> None:
    """A forge can show each form: it has a name, a description, and fields with labels and unique IDs."""
    form: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    assert set(form) == {"name", "description", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"input", "textarea"}
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_there_is_a_form_for_each_kind() -> None:
    """There is a form for bugs and one for features."""
    assert [path.stem for path in forms()] == ["bug", "feature"]
