"""Processes that serve the same addresses from the same database, and the one that keeps them.

The keeper binds, brings the database up to date once, and starts the workers. It has no thread and no event loop, so it
can fork at any time. It starts another worker for one that dies, and tells all to end by closing a pipe, which they
notice as well when it is gone itself. Connections that a dead worker had not accepted wait for the next one: its
sockets stay open here.
"""

import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from aiohttp import web

from postroom.app.config import Config
from postroom.app.main import create_app, prepare
from postroom.app.metrics.catalogue import Metrics
from postroom.app.outside import make_metrics
from postroom.app.server.binding import Listening, StartError, bound
from postroom.app.server.children import in_child
from postroom.app.server.heartbeats import Heartbeats
from postroom.app.server.serve import check_limits, ending_of, greet, load_tls, reload, serve_on
from postroom.app.server.shares import share_of
from postroom.app.server.systemd import NOTHING, Systemd
from postroom.app.server.tls import Tls
from postroom.storage.faults import DatabaseError
from postroom.storage.opening import identity

log = logging.getLogger("postroom")

_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD})
#: Seconds until another worker takes the place of one that died: at first, at most; and how long one has to have lived
#: for the next to start at once again.
_SOON: Final = 0.1
_LATEST: Final = 10.0
_LONG: Final = 30.0
#: Seconds beyond the time of a shutdown after which a worker is killed.
_PATIENCE: Final = 1.0
#: The exit code of a worker that could not begin to serve: it has answered nobody, so a stop that meets one goes well.
_NOT_STARTED: Final = 3


def run_workers(config: Config, say: Callable[[str], None], systemd: Systemd = NOTHING) -> int:
    """Serves with so many workers (one or more) until SIGINT or SIGTERM; returns the exit code. Raises StartError."""
    if config.database == ":memory:":
        raise StartError("Several workers, and sockets for mail, need a database in a file, not in memory")
    limits, tls = check_limits(config), load_tls(config)
    # Where it is ignored, as some starters do, the kernel buries the dead without telling.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if tls is not None or systemd.send is not None:
        # One that comes before the keeper listens to it is nothing to end for: what was just loaded is current.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with bound(config, systemd.sockets, systemd.mail) as groups:
        told, engine = in_child(lambda: asyncio.run(prepare(config)))
        keeper = _Keeper(share_of(config, limits), groups, tls, make_metrics(config), systemd)
        try:
            keeper.start()
            greet(config, groups[0], told, engine, say)
            return keeper.keep()
        finally:
            keeper.end()


@dataclass(slots=True)
class _Worker:
    """A place for a worker: what it listens on, its process (None: none), and when there is to be one."""

    listening: Listening
    pid: int | None = None
    born: float = 0.0
    due: float = 0.0
    delay: float = _SOON


class _Keeper:
    def __init__(
        self, config: Config, groups: list[Listening], tls: Tls | None, metrics: Metrics, systemd: Systemd
    ) -> None:
        self._config = config
        self._metrics = metrics
        #: Loaded here, so that all workers have the same, and one that is started later needs no file.
        self._tls = tls
        self._systemd = systemd
        self._beats = Heartbeats(systemd)
        self._workers = [_Worker(listening) for listening in groups]
        self._stopping = False
        self._kill_at = math.inf
        self._failed = False
        # The workers end with it: when the keeper closes it, or is gone itself, whatever has ended it.
        self._lifeline, held = os.pipe()
        self._held: int | None = held
        self._identity = identity(config.database)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def start(self) -> None:
        """Starts the workers that are due."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.pid is None and worker.due <= now and not self._stopping:
                worker.born = now
                try:
                    worker.pid = os.fork() or self._work(worker)
                except OSError as error:
                    self._put_off(worker, f"A worker cannot be started: {error.strerror}")

    def keep(self) -> int:
        """Keeps them until a signal ends all; returns the exit code."""
        while True:
            self.start()
            told = signal.sigtimedwait(_SIGNALS, self._seconds())
            if told is not None and told.si_signo == signal.SIGHUP and (self._tls or self._systemd.send):
                reload(self._tls, self._systemd)
                self._tell(signal.SIGHUP)
            elif told is not None and told.si_signo != signal.SIGCHLD:
                self._stop()
            self._bury()
            self._beats.look(worker.pid for worker in self._workers)
            if self._stopping and not any(worker.pid for worker in self._workers):
                return 1 if self._failed else 0
            if time.monotonic() >= self._kill_at:
                log.error("Killing the workers that have not ended")
                self._cut_off()

    def end(self) -> None:
        """Leaves no worker behind."""
        self._let_go()
        self._beats.close()
        os.close(self._lifeline)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _seconds(self) -> float:
        """How long to wait for a signal at most."""
        due = [worker.due for worker in self._workers if worker.pid is None and not self._stopping]
        return max(0.0, min([self._kill_at, *due, self._beats.next_look(), time.monotonic() + 60]) - time.monotonic())

    def _stop(self) -> None:
        if self._stopping:
            log.warning("Cut off by a second signal")
            self._cut_off()
            return
        log.info("Stopping %d workers", sum(worker.pid is not None for worker in self._workers))
        self._kill_at = time.monotonic() + self._config.shutdown_timeout + _PATIENCE
        self._stopping = True
        self._systemd.tell("STOPPING=1")
        for file in self._workers[0].listening.files:
            file.remove()
        # Not by a signal: systemd sends one to each process of a service, and a second one would cut requests off.
        self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def _cut_off(self) -> None:
        self._failed = True
        # A process that the kernel holds back dies later.
        self._kill_at = time.monotonic() + _PATIENCE
        self._tell(signal.SIGKILL)

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid is not None:
                os.kill(worker.pid, number)

    def _bury(self) -> None:
        """Looks for workers that have ended, and says when others take their places."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for worker in self._workers:
                if worker.pid == pid:
                    self._replace(worker, os.waitstatus_to_exitcode(status))

    def _replace(self, worker: _Worker, code: int) -> None:
        pid, worker.pid = worker.pid, None
        self._metrics.forget(self._workers.index(worker))
        if self._stopping:
            self._failed = self._failed or code not in (0, _NOT_STARTED)
            return
        self._metrics.ended.add()
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"has ended with code {code}"
        self._put_off(worker, f"Worker {pid} {reason}")

    def _put_off(self, worker: _Worker, reason: str) -> None:
        now = time.monotonic()
        worker.delay = _SOON if now - worker.born > _LONG else min(worker.delay * 2, _LATEST)
        worker.due = now + worker.delay
        log.error("%s; another starts in %.1f s", reason, worker.delay)

    def _work(self, worker: _Worker) -> NoReturn:
        code = 1
        try:
            import uvloop

            self._let_go()
            # Ctrl+C on a terminal is for the keeper, which tells the workers once.
            os.setpgid(0, 0)
            for other in self._workers:
                if other is not worker:
                    for listening in other.listening.sockets:
                        listening.close()
            self._metrics.begin(self._workers.index(worker), os.getpid())
            app = create_app(self._config, self._identity, self._metrics)
            told = self._beats.of_worker()
            uvloop.run(_serve(self._config, worker.listening, self._tls, app, self._lifeline, self._mask, told))
            code = 0
        except (StartError, DatabaseError) as error:
            log.error("A worker cannot start: %s", error)  # noqa: TRY400 - no fault of the code
            code = _NOT_STARTED
        except Exception:
            log.exception("A worker could not go on")
        finally:
            logging.shutdown()
            os._exit(code)


async def _serve(
    config: Config,
    listening: Listening,
    tls: Tls | None,
    app: web.Application,
    lifeline: int,
    mask: set[int | signal.Signals],
    systemd: Systemd,
) -> None:
    with ending_of(config, lifeline) as (stop, ending):
        # Until it is listened to: the keeper's certificate is current. Without one there is nothing to load.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # Not before: a signal that came meanwhile would end the process at once.
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for file in listening.files:
            # The keeper's to remove: others go on listening.
            file.forget()
        await serve_on(config, listening, tls, app, stop, ending, systemd=systemd)
