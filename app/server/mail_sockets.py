"""The Unix sockets that Postfix and Dovecot ask: systemd or this process keeps them, and workers answer over them.

Whoever keeps them outlives a worker, so a question that comes while there is no worker waits for the next one.
"""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from postroom.app.config import Config
from postroom.app.server.service_socket import ServiceSocket, ServiceSocketError

#: Their names, in the folder and as FileDescriptorName= of systemd.
NAMES: Final = ("postfix", "dovecot", "dict")


@contextlib.contextmanager
def opened(config: Config, given: Mapping[str, socket.socket]) -> Iterator[dict[str, ServiceSocket]]:
    """Those that systemd has given, and the others in the folder of the settings, if there is one.

    Raises ServiceSocketError.
    """
    with contextlib.ExitStack() as stack:
        found: dict[str, ServiceSocket] = {}
        for name in NAMES:
            if (each := _open(config, name, given.get(name))) is not None:
                found[name] = each
                stack.callback(each.close)
        yield found


def _open(config: Config, name: str, given: socket.socket | None) -> ServiceSocket | None:
    if given is not None:
        return ServiceSocket(Path(str(given.getsockname())), given)
    if config.mail_sockets is None:
        return None
    folder = Path(config.mail_sockets)
    if not folder.is_dir():
        raise ServiceSocketError(f"POSTROOM_MAIL_SOCKETS: there is no folder {folder}")
    group = config.mail_postfix_group if name == "postfix" else config.mail_dovecot_group
    return ServiceSocket.open(str(folder / name), group, shared=True)
