"""What the commands `postroom user ...` do."""

from collections.abc import Mapping, Sequence
from typing import Any

from postroom.app.cli import names, tables
from postroom.app.cli.api import Api, CommandError, RefusedError
from postroom.app.cli.work import Job
from postroom.schemas.values.users import FLAGS

_NOT_FOUND = 404
_MISSING_HALF = "An address is needed, such as anna@example.org"


async def show_list(job: Job, domains: Sequence[str], query: Mapping[str, Any], api: Api) -> None:
    """Lists the users of these domains, or all."""
    if domains:
        found = [await names.find_domain(api, name) for name in domains]
        pages = [await api.get(f"/domains/{domain.id}/users", **query) for domain in found]
    else:
        pages = await names.pages_everywhere(api, **query)
    page = {"count": sum(each["count"] for each in pages), "data": [user for each in pages for user in each["data"]]}
    rows = [
        (user["username"], user["properties"].get("displayname"), status_of(user), "yes" if user["ldapID"] else "no")
        for user in page["data"]
    ]
    job.show_page("users", page, ("ADDRESS", "NAME", "STATUS", "DIRECTORY"), rows)


def status_of(user: Mapping[str, Any]) -> str:
    """The status of a user for people."""
    from postroom.app.cli.user import STATUSES

    return STATUSES.get(user["status"], str(user["status"]))


async def show(job: Job, address: str, api: Api) -> None:
    """Shows a user."""
    user = await names.find_user(api, address)
    document = await api.get(user.path)
    if job.json:
        job.tell(user.username, document)
        return
    forward = document["forward"]
    how = "copy to" if forward and forward["forwardType"] == 0 else "to"
    tables.show_fields(
        {
            "Address": document["username"],
            "ID": f"{document['ID']} in domain {document['domainID']}",
            "Status": status_of(document),
            "Aliases": document["aliases"],
            "Other logins": [each["altname"] for each in document["altnames"]],
            "Language": document["lang"],
            "Directory": document["ldapID"],
            "Allowed": [flag for flag in FLAGS if document[flag]],
            "Roles": [role["name"] for role in document["roles"]],
            "Forward": forward and f"{how} {forward['destination']}",
            "Fetched from": [f"{each['srcUser']} at {each['srcServer']}" for each in document["fetchmail"]],
            **document["properties"],
        }
    )


async def create(job: Job, body: dict[str, Any], contact_in: str | None, api: Api) -> None:
    """Creates a user."""
    domain_name = contact_in or body["username"].rpartition("@")[2]
    if contact_in is None and "@" not in body["username"]:
        raise CommandError(_MISSING_HALF)
    domain = await names.find_domain(api, domain_name)
    document = await api.post(f"/domains/{domain.id}/users", body)
    job.tell(f"{document['username']} has been created", document)


async def change(body: Mapping[str, Any], api: Api, address: str) -> str:
    """Changes a user."""
    user = await names.find_user(api, address)
    await api.patch(user.path, body)
    return f"{user.username} has been changed"


async def change_status(before: int, after: int, api: Api, address: str) -> str:
    """Changes the status of a user who has one of the two: others are no persons who log in."""
    user = await names.find_user(api, address)
    now = {"status": after}
    if user.document["status"] == after:
        return f"{user.username} is {status_of(now)} already"
    if user.document["status"] != before:
        raise CommandError(f"{user.username} is {status_of(user.document)}, and cannot be {status_of(now)}")
    await api.patch(user.path, now)
    return f"{user.username} is {status_of(now)} now"


async def set_password(job: Job, address: str, new: str, api: Api) -> None:
    """Sets a password."""
    try:
        answer = await api.put(f"/passwd/{names.part(address)}", {"new": new})
    except RefusedError as error:
        if error.status == _NOT_FOUND and "@" in address:
            # Says which names are near; whoever is found may not be changed by this caller.
            await names.find_user(api, address)
        raise
    job.tell(answer["message"])


async def delete(api: Api, address: str) -> str:
    """Deletes a user."""
    user = await names.find_user(api, address)
    answer: dict[str, str] = await api.delete(user.path)
    return answer["message"]
