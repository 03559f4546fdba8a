"""docs/testing.md is true: each of its tests passes, in a project of its own."""

import re
import subprocess
import sys
from pathlib import Path

from postroom.testing import running
from tests.app.testing.test_running import status_of
from tests.bench import harness

ROOT = Path(__file__).parents[1]
_INI = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8")


def test_recipes_work(tmp_path: Path) -> None:
    """All of them, in one run of pytest."""
    recipes = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for number, recipe in enumerate(recipes):
        (tmp_path / f"test_recipe_{number}.py").write_text(recipe, "utf-8")
    (tmp_path / "pytest.ini").write_text(_INI, "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert f"{len(recipes)} passed" in run.stdout


async def test_the_file_can_be_planted(tmp_path: Path) -> None:
    """The seed of the page makes what it says, also with the settings of the page."""
    (seed,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "seed.yaml").write_text(seed, "utf-8")
    async with running(tmp_path / "seed.yaml", settings={"password_min_length": 12}) as server:
        assert (await server.admin.get("/system/users"))["count"] == 5
        await server.login("anna@example.org", "her own phrase")
        for token in ("postroom_nightly", "postroom_for-reports"):
            assert await status_of(server, token, "/domains") == 200


def test_the_first_test_has_ten_lines() -> None:
    """At most, with its import."""
    first = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    assert len(first.splitlines()) <= 10


def test_costs_are_those_that_are_measured() -> None:
    """The page has the goals of the benchmark."""
    table = PAGE.split("| at most |")[1]
    for name, _, unit, _, most in harness.GOALS:
        assert f"{most:g} {unit or 'threads'}" in table, name
