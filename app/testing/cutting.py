"""Connections that end too early, as they do on a network."""

from aiohttp import web

from postroom.app.web.streams import reset_connection
from postroom.testing.faults import Fault


def cut(request: web.Request, fault: Fault) -> ConnectionResetError:
    """Ends the connection once what has been written is sent; raise what it returns."""
    if fault.fields.get("reset"):
        reset_connection(request)
    elif request.transport is not None:
        request.transport.close()
    return ConnectionResetError("cut by a fault")
