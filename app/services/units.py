"""The state of postroom and, from systemd, of the services that mail needs."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

from postroom.app.clock import time_text
from postroom.app.services.together import Together

Service = dict[str, str | None]

#: Name -> unit. A fixed list: systemctl never sees input from outside.
UNITS: Final = {
    "postroom": "postroom.service",
    "postfix": "postfix.service",
    "dovecot": "dovecot.service",
    "slapd": "slapd.service",
}
_PROPERTIES: Final = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Description",
    "MainPID",
    "ActiveEnterTimestampMonotonic",
    "InactiveEnterTimestampMonotonic",
)
#: Exists when the system was booted with systemd; see sd_booted(3).
BOOTED: Final = Path("/run/systemd/system")
#: Time limit for systemctl, in seconds.
PATIENCE: Final = 2.0


class Units:
    """The services of this machine. Concurrent callers share one answer."""

    def __init__(self, timezone: tzinfo) -> None:
        self._timezone = timezone
        self._started = time.time()
        self._services = Together(self._ask)

    async def services(self) -> list[Service]:
        """postroom itself, then the other services that systemd knows."""
        return await self._services.answer()

    async def close(self) -> None:
        """Cancels a question in flight."""
        await self._services.close()

    async def _ask(self) -> list[Service]:
        found = await _show(list(UNITS.values()))
        own = found.pop(UNITS["postroom"], {})
        return [
            self._own(own),
            *(self._service(name, found[unit]) for name, unit in UNITS.items() if unit in found),
        ]

    def _own(self, shown: Mapping[str, str]) -> Service:
        # This process may run outside systemd while the unit is stopped.
        is_unit = shown.get("MainPID") == str(os.getpid())
        return {
            "name": "postroom",
            "unit": UNITS["postroom"],
            "state": "active",
            "substate": "running",
            "description": "Administers the mailbox users of mail domains",
            "autostart": (shown.get("UnitFileState") if is_unit else None) or "unknown",
            "since": self._time(self._started),
        }

    def _service(self, name: str, shown: Mapping[str, str]) -> Service:
        state = shown.get("ActiveState", "unknown")
        return {
            "name": name,
            "unit": UNITS[name],
            "state": state,
            "substate": shown.get("SubState", "unknown"),
            "description": shown.get("Description", ""),
            # A unit made at runtime has no UnitFileState.
            "autostart": shown.get("UnitFileState") or "unknown",
            "since": self._since(
                shown.get(f"{'Active' if state == 'active' else 'Inactive'}EnterTimestampMonotonic", "")
            ),
        }

    def _since(self, microseconds: str) -> str | None:
        """The time of an event, given in microseconds since the machine started; 0 means never."""
        if not microseconds.isdigit() or not int(microseconds):
            return None
        started = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
        return self._time(started + int(microseconds) / 1_000_000)

    def _time(self, seconds: float) -> str:
        return time_text(datetime.fromtimestamp(seconds, self._timezone))


async def _show(units: list[str]) -> dict[str, dict[str, str]]:
    """Unit -> properties, for the units that systemd knows; empty without systemd or after a timeout."""
    program = shutil.which("systemctl")
    if program is None or not BOOTED.is_dir():
        return {}
    blocks = [_properties(block) for block in (await _run(program, units)).strip().split("\n\n")]
    # systemctl prints one block for each unit, in the order of the arguments.
    if len(blocks) != len(units) or not all("LoadState" in block for block in blocks):
        return {}
    shown = dict(zip(units, blocks, strict=True))
    return {unit: properties for unit, properties in shown.items() if properties["LoadState"] != "not-found"}


def _properties(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


async def _run(program: str, units: list[str]) -> str:
    try:
        process = await _start(program, units)
    except OSError:
        return ""
    try:
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            # Kill its children, too: one of them would keep the pipe open.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return output.decode(errors="replace") if process.returncode == 0 else ""


async def _start(program: str, units: list[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        program,
        "show",
        "--no-pager",
        f"--property={','.join(_PROPERTIES)}",
        "--",
        *units,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # Our settings, which include passwords, must not reach another program.
        env={"LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )
