"""Lists of addresses that belong to a user: aliases, delegates, who may send as them."""

from collections.abc import Sequence
from typing import Any

from postroom.app.cli import names
from postroom.app.cli.api import Api, CommandError
from postroom.app.cli.work import Job


async def show(job: Job, address: str, below: str, field: str, api: Api) -> None:
    """Prints a list, a line for each address. `below`: the path behind that of the user, `field`: where it is."""
    user = await names.find_user(api, address)
    found = (await api.get(user.path + below))[field]
    if job.json:
        job.tell(f"{len(found):,} addresses", found)
        return
    for each in found:
        job.tell(each)


async def add(job: Job, address: str, below: str, field: str, given: Sequence[str], api: Api) -> None:
    """Adds addresses to the end of a list; those that are in it stay where they are."""
    user = await names.find_user(api, address)

    def change(document: dict[str, Any]) -> Any:
        known = _folded(document[field])
        return _body(below, field, document[field] + [each for each in given if each.lower() not in known])

    await api.update(user.path + below, change, method=_method(below))
    await _tell(job, user, below, field, api)


async def remove(job: Job, address: str, below: str, field: str, given: Sequence[str], api: Api) -> None:
    """Takes addresses out of a list, all or none."""
    user = await names.find_user(api, address)
    gone = {each.lower() for each in given}

    def change(document: dict[str, Any]) -> Any:
        unknown = gone - _folded(document[field])
        if unknown:
            raise CommandError(f"Not in the list of {user.username}: {', '.join(sorted(unknown))}")
        return _body(below, field, [each for each in document[field] if each.lower() not in gone])

    await api.update(user.path + below, change, method=_method(below))
    await _tell(job, user, below, field, api)


async def _tell(job: Job, user: names.User, below: str, field: str, api: Api) -> None:
    found = (await api.get(user.path + below))[field]
    job.tell(f"The list of {user.username} has been stored: {', '.join(found) or 'empty'}", found)


def _folded(addresses: Sequence[str]) -> set[str]:
    return {each.lower() for each in addresses}


def _method(below: str) -> str:
    return "PUT" if below else "PATCH"


def _body(below: str, field: str, addresses: list[str]) -> Any:
    # A list of its own is a bare array; aliases are a field of the user.
    return addresses if below else {field: addresses}
