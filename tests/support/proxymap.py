"""A Postfix that only looks things up, with a configuration of its own: `postmap`, and the daemon behind `proxy:`."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Mails nothing, listens nowhere.
_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
inet_interfaces = loopback-only
mydestination =
proxy_read_maps = {maps}
"""
_MASTER = """
proxymap unix      -       -       n       -       -       proxymap
postlog  unix-dgram n      -       n       -       1       postlogd
"""
_MAPS = ("domains", "mailboxes", "aliases", "senders")


class Lookups:
    """Looks up over the sockets in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Where the service makes its sockets.
        self.sockets = folder / "mail"

    def ask(self, name: str, key: str, *, proxy: bool = True) -> tuple[int, str, str]:
        """(exit code, what it prints, warnings) of postmap: 0 found, 1 not found without a warning."""
        table = f"{'proxy:' if proxy else ''}{self.table(name)}"
        command = ["postmap", "-c", str(self.folder / "etc"), "-q", key, table]
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return found.returncode, found.stdout.strip(), found.stderr

    def table(self, name: str) -> str:
        """The name of a map."""
        return f"socketmap:unix:{self.sockets}/postfix:{name}"

    @property
    def log(self) -> str:
        """What Postfix has logged."""
        return (self.folder / "log").read_text("utf-8")


@contextlib.contextmanager
def lookups() -> Iterator[Lookups]:
    """Runs such a Postfix while the block does. Skips the test where it cannot be run."""
    missing = [each for each in ("postfix", "postmap") if shutil.which(each) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}, and root")
    # Its processes run as another user, who may not look into the folders of tests.
    with tempfile.TemporaryDirectory(prefix="postroom-postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        found = Lookups(folder)
        for each in ("etc", "queue", "data", "mail"):
            (folder / each).mkdir()
        shutil.chown(folder / "data", "postfix")
        maps = " ".join(f"proxy:{found.table(each)}" for each in _MAPS)
        (folder / "etc" / "main.cf").write_text(_MAIN.format(folder=folder, maps=maps))
        (folder / "etc" / "master.cf").write_text(_MASTER)
        # Postfix waits for a file that has just been written.
        os.utime(folder / "etc" / "main.cf", (0, 0))
        control = ["postfix", "-c", str(folder / "etc")]
        subprocess.run([*control, "start"], check=True, capture_output=True)
        try:
            yield found
        finally:
            subprocess.run([*control, "abort"], check=True, capture_output=True)
