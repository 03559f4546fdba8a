"""The yardstick: an aiohttp server with one route, whose handler answers the bytes of a file.

`python -m tests.bench.bare FILE PATH` takes a free port and prints the address it listens on.
"""

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web


async def _serve(body: bytes, path: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get(path, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"listens on http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]).read_bytes(), sys.argv[2]))
