"""A `postroom serve` that can be killed, stopped and started again on the same port."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import psutil

from tests.support.service import ADMIN_PASSWORD
from tests.support.slapd import free_port

POSTROOM: Final = Path(sys.executable).with_name("postroom")
_START_LIMIT: Final = 60.0


class ProcessError(RuntimeError):
    """The service did not start; the text is what it said."""


class Process:
    """The service in a folder of its own; use it as a context manager."""

    def __init__(self, folder: Path, database: str, workers: int = 1, environ: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        self.log = folder / "log"
        self.database = database
        self.key_file = str(folder / "keys")
        self._folder, self._workers = folder, workers
        file = folder / "database"
        file.touch(mode=0o600)
        file.write_text(database + "\n")
        self.environ = {
            "PATH": os.environ["PATH"],
            "POSTROOM_DATABASE_FILE": str(file),
            "POSTROOM_KEY_FILE": self.key_file,
            "POSTROOM_ADMIN_PASSWORD": ADMIN_PASSWORD,
            # The clients of a crowd that is killed come again and again, from one address.
            "POSTROOM_LOGIN_FAILURES": "1000",
            **(environ or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Starts it and waits until it says where it listens. ProcessError when it does not."""
        at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [POSTROOM, "serve", "--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self._workers)],
                cwd=self._folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + _START_LIMIT
        while self._process.poll() is None and time.monotonic() < until:
            if b"\nDatabase: " in self.log.read_bytes()[at:]:
                return
            time.sleep(0.01)
        self.kill()
        raise ProcessError(self.log.read_bytes()[at:].decode("utf-8", "replace").strip())

    @property
    def everyone(self) -> list[psutil.Process]:
        """The process, or the keeper and then its workers."""
        if self._process is None or self._process.poll() is not None:
            return []
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self._process.pid)
            return [first, *first.children()]
        return []

    def kill(self) -> None:
        """Kills it and all of its workers with SIGKILL."""
        everyone = self.everyone
        for each in everyone:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        if self._process is not None:
            self._process.wait()
        for each in everyone[1:]:
            with suppress(psutil.NoSuchProcess):
                each.wait(10)

    def kill_keeper(self) -> list[psutil.Process]:
        """Kills the keeper alone; returns its workers, who have to end by themselves."""
        workers = self.everyone[1:]
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        return workers

    def stop(self) -> int:
        """Ends it in good order; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def said(self) -> str:
        """What it has logged."""
        return self.log.read_text("utf-8", "replace")
