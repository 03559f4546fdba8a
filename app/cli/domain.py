"""The commands `postroom domain ...`."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from postroom.app.cli import domain_help, output, tables, work

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

app = typer.Typer(name="domain", no_args_is_help=True, rich_markup_mode=None, help=domain_help.GROUP)

#: Status for people -> in the API.
STATUSES: Final = {"active": 0, "suspended": 1, "out of date": 2, "deleted": 3}
_NAMES: Final = {number: name for name, number in STATUSES.items()}

_Domain = Annotated[str, typer.Argument(metavar="DOMAIN", show_default=False)]
_Domains = Annotated[
    list[str], typer.Argument(metavar="DOMAIN...", min=1, help="Domains; - takes them from the input.")
]
_Org = Annotated[str | None, typer.Option("--org", metavar="NAME", help='The organisation; "": none.')]
_MaxUsers = Annotated[int | None, typer.Option("--max-users", min=0, help="Most active users.")]
_Title = Annotated[str | None, typer.Option("--title", help="What the domain is for.")]
_Address = Annotated[str | None, typer.Option("--address", help="The postal address.")]
_Admin = Annotated[str | None, typer.Option("--admin", help="Who is responsible.")]
_Tel = Annotated[str | None, typer.Option("--tel", help="Their telephone number.")]
_SelfService = Annotated[
    str | None,
    typer.Option(
        "--self-service",
        metavar="WHAT",
        help="What users may change of their own: oof, devices, forward, delegates, sendas, with commas between;"
        ' "": nothing; default: what is usual.',
    ),
]
_End = Annotated[str | None, typer.Option("--end", metavar="YYYY-MM-DD", help="The last day.")]


@app.command("list", help=domain_help.LIST)
def list_domains(
    match: Annotated[str, typer.Option("--match", metavar="WORDS", help="Only domains that match all words.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most domains.")] = 50,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Lists domains."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        page = await api.get("/system/domains", match=match, limit=limit, sort="domainname")
        rows = [
            (
                each["displayname"],
                each["title"],
                _NAMES.get(each["domainStatus"]),
                f"{each['activeUsers']} of {each['maxUser']}",
                each["inactiveUsers"] + each["virtualUsers"],
                each["orgID"] or None,
            )
            for each in page["data"]
        ]
        job.show_page("domains", page, ("DOMAIN", "TITLE", "STATUS", "ACTIVE USERS", "OTHERS", "ORG"), rows)

    job.run(do)


@app.command("show", help=domain_help.SHOW)
def show(domain: _Domain, json: output.Json = False, url: work.Url = None, database: output.Database = None) -> None:
    """Shows a domain."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        found = await names.find_domain(api, domain)
        document = await api.get(f"/system/domains/{found.id}")
        if job.json:
            job.tell(found.name, document)
            return
        tables.show_fields(
            {
                "Domain": document["displayname"],
                "ID": document["ID"],
                "Status": _NAMES.get(document["domainStatus"]),
                "Users": f"{document['activeUsers']} active of {document['maxUser']}, "
                f"{document['inactiveUsers']} inactive, {document['virtualUsers']} shared mailboxes and contacts",
                "Organisation": document["orgID"] or None,
                "Title": document["title"],
                "Address": document["address"],
                "Responsible": document["adminName"],
                "Telephone": document["tel"],
                "Last day": document["endDay"],
                "Self-service": ", ".join(document["selfService"]) or None,
                "Chat": document["chat"],
                "Devices": document["syncPolicy"],
            }
        )

    job.run(do)


@app.command("create", help=domain_help.CREATE)
def create(
    domain: _Domain,
    max_users: _MaxUsers = None,
    org: _Org = None,
    role: Annotated[bool, typer.Option("--role", help="Also create a role whose holders administer it.")] = False,
    title: _Title = None,
    address: _Address = None,
    admin: _Admin = None,
    tel: _Tel = None,
    end: _End = None,
    self_service: _SelfService = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Creates a domain."""
    job = work.job_at(url, database, json=json)
    body = {"domainname": domain, **_fields(max_users, title, address, admin, tel, end, self_service)}

    async def do(api: "Api") -> None:
        await _resolve_org(api, body, org)
        document = await api.post("/system/domains", body, createRole=str(role).lower())
        job.tell(f"The domain {document['displayname']} has been created", document)

    job.run(do)


@app.command("set", help=domain_help.SET)
def change(
    domains: _Domains,
    max_users: _MaxUsers = None,
    org: _Org = None,
    status: Annotated[str | None, typer.Option("--status", help="active, suspended or out of date.")] = None,
    title: _Title = None,
    address: _Address = None,
    admin: _Admin = None,
    tel: _Tel = None,
    end: _End = None,
    self_service: _SelfService = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Changes domains."""
    job = work.job_at(url, database, json=json)
    body = _fields(max_users, title, address, admin, tel, end, self_service)
    if status is not None:
        if status.lower() not in STATUSES or status.lower() == "deleted":
            job.fail(f"There is no status {status!r}; there are active, suspended and out of date")
        body["domainStatus"] = STATUSES[status.lower()]
    if not body and org is None:
        job.fail("There is nothing to change: give an option such as --title")

    async def do(api: "Api", name: str) -> str:
        await _resolve_org(api, body, org)
        return await _patch(body, "has been changed", api, name)

    job.run_each(job.names(domains), do)


def _fields(
    max_users: int | None,
    title: str | None,
    address: str | None,
    admin: str | None,
    tel: str | None,
    end: str | None,
    self_service: str | None,
) -> dict[str, Any]:
    given = {
        "maxUser": max_users, "title": title, "address": address, "adminName": admin, "tel": tel, "endDay": end
    }  # fmt: skip
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if self_service is not None:
        named = [part.strip() for part in self_service.split(",") if part.strip()]
        fields["selfService"] = None if named == ["default"] else named
    return fields


async def _resolve_org(api: "Api", body: dict[str, Any], org: str | None) -> None:
    from postroom.app.cli import names

    if org is not None and "orgID" not in body:
        body["orgID"] = (await names.find_org(api, org)).id if org else 0


async def _patch(body: dict[str, Any], done: str, api: "Api", name: str) -> str:
    from postroom.app.cli import names

    found = await names.find_domain(api, name)
    await api.patch(f"/system/domains/{found.id}", body)
    return f"The domain {found.name} {done}"


@app.command("delete", help=domain_help.DELETE)
def delete(
    domains: _Domains,
    purge: Annotated[bool, typer.Option("--purge", help="Remove them and everything in them for good.")] = False,
    yes: output.Yes = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Marks domains as deleted, or purges them."""
    job = work.job_at(url, database, json=json)
    found = job.names(domains)
    named = work.listed(found)
    question = f"Remove {named} and everything in them for good?" if purge else f"Mark {named} as deleted?"
    job.confirm(question, yes=yes)
    _delete(job, found, purge=purge)


def _delete(job: work.Job, found: list[str], *, purge: bool) -> NoReturn:
    async def do(api: "Api", name: str) -> str:
        from postroom.app.cli import names

        domain = await names.find_domain(api, name)
        await api.delete(f"/system/domains/{domain.id}", purge=str(purge).lower())
        done = "and everything in it has been removed" if purge else "has been marked as deleted"
        return f"The domain {domain.name} {done}"

    job.run_each(found, do)


@app.command("restore", help=domain_help.RESTORE)
def restore(
    domains: _Domains, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Brings domains back."""
    job = work.job_at(url, database, json=json)
    job.run_each(job.names(domains), partial(_patch, {"domainStatus": STATUSES["active"]}, "is active again"))
