"""placeholder"""

from aiohttp import web


def document(app: web.Application) -> bytes:
    return b"{}"
