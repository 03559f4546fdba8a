"""Nodes of postroom that are started again whenever they end, as a service manager does it."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.service import ADMIN_PASSWORD
from tests.support.slapd import free_port

_POSTROOM: Final = Path(sys.executable).with_name("postroom")
#: Seconds before an ended node is started again.
_PAUSE: Final = 0.5


class Node:
    """One node; use it as a context manager. It keeps its port."""

    def __init__(self, folder: Path, name: str, database: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        self.log = folder / f"{name}.log"
        #: The password of the database does not belong where others can read it.
        file = folder / "database"
        file.touch(mode=0o600)
        file.write_text(database + "\n")
        self._environ = {
            "PATH": os.environ["PATH"],
            "POSTROOM_DATABASE_FILE": str(file),
            "POSTROOM_KEY_FILE": str(folder / "keys"),
            "POSTROOM_ADMIN_PASSWORD": ADMIN_PASSWORD,
        }
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name=name)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._ended.set()
            if self._process is not None:
                self._process.terminate()
        self._keeper.join()

    def kill(self) -> None:
        """Kills it with SIGKILL."""
        with self._lock, suppress(ProcessLookupError):
            if self._process is not None:
                self._process.kill()

    def _keep(self) -> None:
        while not self._ended.is_set():
            with self.log.open("ab") as log, self._lock:
                if self._ended.is_set():
                    return
                self._process = subprocess.Popen(
                    [_POSTROOM, "serve", "--host", "127.0.0.1", "--port", str(self.port)],
                    env=self._environ,
                    cwd=self.log.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self._process.wait()
            self._ended.wait(_PAUSE)
