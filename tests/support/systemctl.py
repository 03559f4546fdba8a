"""A fake systemctl for tests: a program first in PATH that prints what the real one (252) would."""

from pathlib import Path

import pytest

from postroom.app.services import units

#: The output for an active unit, a failed one, a masked one, and one that does not exist.
ACTIVE = """\
MainPID={pid}
Description={description}
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
ActiveEnterTimestampMonotonic=2000000
InactiveEnterTimestampMonotonic=1000000
"""
FAILED = """\
MainPID=0
Description=Dovecot IMAP/POP3 email server
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=disabled
ActiveEnterTimestampMonotonic=2000000
InactiveEnterTimestampMonotonic=3000000
"""
MASKED = """\
MainPID=0
Description=slapd.service
LoadState=masked
ActiveState=inactive
SubState=dead
UnitFileState=masked
ActiveEnterTimestampMonotonic=0
InactiveEnterTimestampMonotonic=0
"""
NOT_FOUND = """\
MainPID=0
Description={unit}
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
ActiveEnterTimestampMonotonic=0
InactiveEnterTimestampMonotonic=0
"""


class FakeSystemctl:
    """Installs the program and makes systemd look like the init system."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        (folder / "booted").mkdir()
        monkeypatch.setattr(units, "BOOTED", folder / "booted")
        monkeypatch.setenv("PATH", str(folder), prepend=":")

    def prints(self, *blocks: str) -> None:
        """Sets its output."""
        (self._folder / "output").write_text("\n".join(blocks))
        self.runs(f"cat '{self._folder}/output'")

    def runs(self, commands: str) -> None:
        """Sets what it does. It writes its last arguments and environment to files."""
        program = self._folder / "systemctl"
        program.write_text(f'#!/bin/sh\necho "$@" >> "{self._folder}/calls"\nenv > "{self._folder}/env"\n{commands}\n')
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The arguments of each call."""
        path = self._folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def environment(self) -> str:
        """The environment of the program."""
        return (self._folder / "env").read_text()
