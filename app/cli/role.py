"""The commands `postroom role ...`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.app.cli import output, role_help, tables, work

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

app = typer.Typer(name="role", no_args_is_help=True, rich_markup_mode=None, help=role_help.GROUP)

_Role = Annotated[str, typer.Argument(metavar="ROLE", help="Its name or ID.")]
_Description = Annotated[str | None, typer.Option("--description", help="What it is for.")]
_Permissions = Annotated[
    list[str] | None, typer.Option("--permission", metavar="PERMISSION[:WHERE]", help="What its holders may do.")
]


@app.command("list", help=role_help.LIST)
def list_roles(
    match: Annotated[str, typer.Option("--match", metavar="WORDS", help="Only those that match all words.")] = "",
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Lists roles."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        page = await api.get("/system/roles", match=match, sort="name", level=2)
        rows = [
            (each["ID"], each["name"], _permissions(each), len(each["users"]), each["description"])
            for each in page["data"]
        ]
        job.show_page("roles", page, ("ID", "NAME", "MAY", "USERS", "DESCRIPTION"), rows)

    job.run(do)


@app.command("show", help=role_help.SHOW)
def show(role: _Role, json: output.Json = False, url: work.Url = None, database: output.Database = None) -> None:
    """Shows a role."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        found = await names.find_role(api, role)
        document = await api.get(f"/system/roles/{found.id}")
        if job.json:
            job.tell(found.name, document)
            return
        users = [user["username"] for user in document["users"]]
        tables.show_fields(
            {
                "Name": found.name,
                "ID": found.id,
                "Description": document["description"],
                "May": _permissions(document),
                "Users": users,
            }
        )

    job.run(do)


def _permissions(role: dict[str, Any]) -> list[str]:
    """What a role allows, in the words of --permission."""
    return [
        each["permission"] if each["params"] is None else f"{each['permission']}:{each['params']}"
        for each in role["permissions"]
    ]


@app.command("create", help=role_help.CREATE)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    permission: _Permissions = None,
    description: _Description = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Creates a role."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        permissions = [await _permission(api, text) for text in permission or []]
        document = await api.post(
            "/system/roles", {"name": name, "description": description, "permissions": permissions}
        )
        job.tell(f"The role {document['name']} has been created", document)

    job.run(do)


@app.command("set", help=role_help.SET)
def change(
    role: _Role,
    name: Annotated[str | None, typer.Option("--name", help="The new name.")] = None,
    permission: _Permissions = None,
    description: _Description = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Changes a role."""
    job = work.job_at(url, database, json=json)
    if name is None and not permission and description is None:
        job.fail("There is nothing to change: give --name, --description or --permission")

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        found = await names.find_role(api, role)
        given: dict[str, Any] = {"name": name, "description": description}
        body = {field: value for field, value in given.items() if value is not None}
        if permission:
            body["permissions"] = [await _permission(api, text) for text in permission]
        document = await api.patch(f"/system/roles/{found.id}", body)
        job.tell(f"The role {document['name']} has been changed", document)

    job.run(do)


async def _permission(api: "Api", text: str) -> dict[str, Any]:
    """`DomainAdmin:example.org` in the format of the API, which says what is wrong with it."""
    from postroom.app.cli import names

    permission, _, where = text.partition(":")
    if where == "*" or not where:
        return {"permission": permission, "params": where or None}
    find = names.find_org if permission == "OrgAdmin" else names.find_domain
    return {"permission": permission, "params": (await find(api, where)).id}


@app.command("delete", help=role_help.DELETE)
def delete(
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", min=1, show_default=False)],
    yes: output.Yes = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Deletes roles."""
    job = work.job_at(url, database, json=json)
    found = job.names(roles)
    job.confirm(f"Delete {work.listed(found)}? Their holders lose the permissions.", yes=yes)

    async def do(api: "Api", name: str) -> str:
        from postroom.app.cli import names

        role = await names.find_role(api, name)
        await api.delete(f"/system/roles/{role.id}")
        return f"The role {role.name} has been deleted"

    job.run_each(found, do)


@app.command("add", help=role_help.ADD)
def add(
    role: _Role,
    addresses: work.Addresses,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Gives a role."""
    _give(work.job_at(url, database, json=json), role, addresses, given=True)


@app.command("remove", help=role_help.REMOVE)
def remove(
    role: _Role,
    addresses: work.Addresses,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Takes a role away."""
    _give(work.job_at(url, database, json=json), role, addresses, given=False)


def _give(job: work.Job, role: str, addresses: list[str], *, given: bool) -> None:
    async def do(api: "Api", address: str) -> str:
        from postroom.app.cli import names

        found = await names.find_role(api, role)
        user = await names.find_user(api, address)

        def change(document: dict[str, Any]) -> dict[str, Any] | None:
            before = [each["ID"] for each in document["roles"]]
            if (found.id in before) == given:
                return None
            return {"roles": [*before, found.id] if given else [each for each in before if each != found.id]}

        if await api.update(user.path, change, method="PATCH", below="/roles") is None:
            return f"{user.username} {'already has' if given else 'does not have'} the role {found.name}"
        return f"{user.username} {'has' if given else 'no longer has'} the role {found.name}"

    job.run_each(job.names(addresses), do)
