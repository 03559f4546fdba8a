"""Which protocol is spoken over which socket."""

import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from postroom.app.mail.dict import Dict
from postroom.app.mail.dovecot import Dovecot
from postroom.app.mail.serving import Conversation, Server
from postroom.app.mail.socketmap import Socketmap
from postroom.app.services.context import Context

_PROTOCOLS: Final[Mapping[str, Callable[[Context], Conversation]]] = {
    "postfix": Socketmap,
    "dovecot": Dovecot,
    "dict": Dict,
}


def servers_of(sockets: Mapping[str, socket.socket], context: Context) -> list[Server]:
    """A server for each of these listening sockets, by name."""
    return [Server(name, listening, partial(_PROTOCOLS[name], context)) for name, listening in sockets.items()]
