"""Examines an installation: its database, its files, the machine, and the directories that it asks."""

import os
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from postroom.app.clock import Clock, time_text
from postroom.app.config import Config
from postroom.app.services import doctor_backups, doctor_directories, doctor_machine
from postroom.app.services.tasks import node
from postroom.app.transactions.tasks import find_orphans, interrupt_orphans, name_of_process
from postroom.storage.checks import clock, files
from postroom.storage.checks.examine import examine
from postroom.storage.checks.findings import Check, Finding, State
from postroom.storage.checks.repairs import Store, examined
from postroom.storage.engine import Connection
from postroom.storage.progress import Report
from postroom.storage.tasks import Owner


def examine_all(config: Config, report: Report, *, offline: bool, repair: bool) -> list[Finding]:
    """All findings; with `offline` no directory is asked. Raises DatabaseError, WrongDatabaseError."""
    further = [*clock.checks(partial(_present, config)), _abandoned_tasks(config)]
    if not offline:
        further.append(doctor_directories.check(config))
    found = examine(config.database, config.key_file, report, further=further, repair=repair)
    found += examined(files.CHECKS, doctor_machine.files_of(config), repair=repair)
    return [*found, *examined((*doctor_backups.CHECKS, *doctor_machine.CHECKS), config, repair=repair)]


def _present(config: Config) -> clock.Now:
    now = Clock().local(config.timezone)
    soon, yesterday = now + timedelta(minutes=1), now - timedelta(days=1)
    return clock.Now(int(now.timestamp()), time_text(soon), time_text(yesterday))


def _abandoned_tasks(config: Config) -> Check[Connection]:
    own, now = Owner(name_of_process(), node(), os.getpid()), Clock().text(config.timezone)

    def find(connection: Connection) -> Iterator[str]:
        for task_id in find_orphans(connection, own):
            yield f"task {task_id}"

    def repair(store: Store) -> None:
        store.write(partial(interrupt_orphans, own=own, now=now))

    return Check(
        "Tasks",
        "abandoned tasks",
        promise="Every task that runs or waits has a process",
        fault="tasks whose process is gone",
        find=find,
        advice="--repair marks them as interrupted; so does every service when it starts",
        state=State.WARNING,
        repair=repair,
    )
