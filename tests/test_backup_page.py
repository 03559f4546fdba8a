"""docs/backup.md is true: its commands work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from postroom.app import settings
from postroom.app.config import Config
from postroom.app.services import backups
from tests.app.test_cli import serving
from tests.demo import ROOT, commands
from tests.support.backups import names

PAGE = (ROOT / "docs" / "backup.md").read_text("utf-8")
#: Where the commands of the page have the folder.
_FOLDER = "/srv/backups"


def test_commands_work(tmp_path: Path) -> None:
    """Every command of the page works in its order, on SQLite; the service runs, but not during the restore."""
    found = [command for _, command in commands(PAGE)]
    create, file, listing, verify, schedule, cron, restore, server = found
    folder = tmp_path / "backups"
    folder.mkdir()

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command.replace(_FOLDER, str(folder))],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, (command, done)
        return done.stdout

    with serving(tmp_path) as running:
        run(create)
        run(file)
        assert len(run(listing).splitlines()) == 2
        assert "can be restored" in run(verify)
        run(cron)
        assert running.stop() == 0
    run(restore)
    variables, _, command = schedule.partition(" postroom ")
    assert command == "serve"
    environ = dict(each.replace(_FOLDER, str(folder)).split("=") for each in variables.split())
    assert settings.every(environ["POSTROOM_BACKUP_EVERY"])
    with serving(tmp_path, **environ) as running:
        assert running.stop() == 0
    assert [name for name in names(tmp_path) if ".before-" in name]
    assert "postroom restore" in server
    shutil.rmtree(folder)


def test_numbers() -> None:
    """The numbers of the page are those of the code."""
    keep = ",".join(f"{number}{unit}" for unit, number in Config().backup_keep.items())
    assert f"`POSTROOM_BACKUP_KEEP`\ndoes not keep (`{keep}`" in PAGE
    assert f"tried again every {int(backups.RETRY.total_seconds() // 60)} minutes" in PAGE
    assert re.search(r"`7d,4w,12m`: the newest of each of the last 7 days, 4 weeks and 12 months", PAGE)
