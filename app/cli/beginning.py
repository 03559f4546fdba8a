"""Makes what `postroom init` makes: a database, its key file and a settings file, all of them or none."""

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postroom.app.config import SettingError, load_config
from postroom.app.services.first_steps import furnish
from postroom.app.wiring import opened
from postroom.storage.files import flush, give_to_owner_of, write_private

#: The user of the system that runs the service, where there is one.
SERVICE_USER = "postroom"
#: Mode of a folder for a database.
_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is to be made. `domain` and `directory` are loaded by their schemas."""

    settings: Path
    database: Path
    password: str
    domain: dict[str, Any]
    directory: dict[str, Any] | None
    ca_file: str | None

    @property
    def keys(self) -> Path:
        """The key file of the database."""
        return Path(f"{self.database}.key")


def check_free(settings: Path, database: Path) -> None:
    """Raises SettingError when something is there already: nothing is ever overwritten."""
    made = (settings, database, Path(f"{database}.key"), Path(f"{database}-wal"))
    if len({*made}) < len(made):
        raise SettingError(f"{settings} cannot be the settings file as well; give that another name")
    for path in made:
        if path.is_symlink() or path.exists():
            raise SettingError(f"{path} is there already, and is not overwritten; choose another, or move it away")


def begin(order: Beginning) -> None:
    """Makes everything. Raises SettingError, OSError, and what the directory and the database raise."""
    text = _settings_text(order)
    with contextlib.ExitStack() as undo:
        folder = _made_folder(order.database.parent, undo, _PRIVATE)
        _made_folder(order.settings.parent, undo)
        with _workshop(folder) as workshop:
            store = workshop / order.database.name
            asyncio.run(_make_store(store, order))
            with _undisturbed():
                for made, place in ((Path(f"{store}.key"), order.keys), (store, order.database)):
                    give_to_owner_of(folder, made)
                    # Unlike a rename, a link never replaces an existing file.
                    os.link(made, place)
                    undo.callback(place.unlink)
                flush(folder)
                _write_settings(order.settings, text, folder)
                undo.pop_all()


async def _make_store(store: Path, order: Beginning) -> None:
    # As asyncio does it for Ctrl+C: an exception in the middle of the loop would leave tasks behind.
    if (current := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    # The environment is left out: a database or key file in it would be another one.
    config = load_config({"database": str(store), "ldap_ca_file": order.ca_file}, {})
    async with opened(config) as context:
        await furnish(context, order.password, order.domain, order.directory)


def _settings_text(order: Beginning) -> str:
    chosen = {"database": str(order.database), **({"ldap_ca_file": order.ca_file} if order.ca_file else {})}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in chosen.items()]
    text = "# Written by postroom init. `postroom config example` shows all settings.\n" + "".join(lines)
    try:
        text.encode()
        if tomllib.loads(text) == chosen:
            return text
    except ValueError:
        pass
    raise SettingError("A path with such characters cannot be written into a settings file")


def _write_settings(path: Path, text: str, folder: Path) -> None:
    """Root keeps the file and lets the group of the service read it; anybody else is its only reader."""
    owner = folder.stat()
    readers = owner.st_gid if os.geteuid() == 0 and owner.st_uid != 0 else None
    write_private(path, text.encode(), owner_of=path.parent, replace=False, readers=readers)


def _made_folder(folder: Path, undo: contextlib.ExitStack, mode: int = 0o755) -> Path:
    """The folder, made if it is missing; root gives one that nobody else may look into to the user of the service."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode if each == folder else 0o755)
        undo.callback(each.rmdir)
    if missing and mode == _PRIVATE and os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(SERVICE_USER)
            os.lchown(folder, user.pw_uid, user.pw_gid)
    return folder


@contextlib.contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A folder for what is not complete, removed at the end."""
    made = Path(tempfile.mkdtemp(prefix=".postroom-init-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals wait for the end of the block, which takes milliseconds."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
