"""schemathesis sends a running service requests that its description allows, and many that it forbids."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import StartService
from tests.support.description import own
from tests.support.service import ADMIN_PASSWORD

ROOT: Final = Path(__file__).parents[2]

#: Not the password of the examples: one of them changes it, which would end every login.
PASSWORD: Final = f"{ADMIN_PASSWORD} {ADMIN_PASSWORD}"

#: Operations with a rule that OpenAPI cannot express, so that input of a valid form may be a 400.
STRICTER: dict[str, str] = {
    "getAudit": "times that exist, and the kind of an object",
    "postToken": "networks; users, domains and organisations that exist",
    "getUsers": "names of properties, of which there are 600",
    "postUser": "the domain of the address, names that are taken, the mail address grammar",
    "patchUser": "names that are taken, read-only fields that differ",
    "deleteUser": "the administrator cannot be deleted",
    "bulkUsers": "a body with no line in it",
    "setPassword": "never one's own, and a minimum length that is a setting",
    "postLogin": "both fields or none, and without any a cookie that has been issued",
    "postMyLogin": "both fields or none, and without any a cookie that has been issued",
    "putPasswd": "a minimum length that is a setting",
    "putDelegates": "the mail address grammar",
    "putSendas": "the mail address grammar",
    "postStoreAccessUser": "contacts have no store",
    "putStoreAccessUser": "users that exist",
    "getStoreProps": "names of properties",
    "patchStoreProps": "contacts have no store; at least one property",
    "deleteStoreProps": "names of properties",
    "setOofSize": "days that exist, and an end after the start",
    "putDownsync": "whether the user is linked",
    "getDomains": "the fields that can be sorted by, in each of several forms",
    "postDomain": "domain names, days that exist, organisations that exist",
    "patchDomain": "a name cannot change; days and organisations that exist",
    "getOrgs": "the fields that can be sorted by",
    "postOrgs": "names that are taken, domains that exist",
    "patchOrg": "names that are taken, domains that exist",
    "setUserDeviceWipeStatus": "IP addresses; a wipe that starts needs the password",
    "setLDAPConf": "LDAP filters and URLs, and a directory that answers",
    "setOrgLDAPConf": "LDAP filters and URLs, and a directory that answers",
    "importLdapUser": "the escapes of object IDs",
    "dumpLDAP": "the escapes of object IDs",
    "updateAllDomainUsers": "a domain that is not deleted",
    "getTasks": "the fields that can be sorted by",
    "cancelTask": "a task that has not ended yet",
    "deleteTask": "a task that has ended",
    "getAllUsers": "names of properties, which can be sorted by",
    "getRoles": "the fields that can be sorted by",
    "postRole": "names that are taken; users, domains and organisations that exist",
    "patchRole": "names that are taken; users, domains and organisations that exist",
    "patchUserRoles": "roles that exist",
    "putDisabledPlugins": "names that are short and one line",
    "resetPasswd": "never one's own, and a minimum length that is a setting",
    "getCreateParams": "a domain that exists",
    "putCreateParams": "days that exist, names and units of properties",
    "patchCreateParams": "days that exist, names and units of properties",
    "putDomainDefaultParams": "days that exist, names and units of properties",
    "patchDomainDefaultParams": "days that exist, names and units of properties",
}

#: What is about a mailbox of the caller's own: `admin`, who makes the requests, has none.
STRICTER |= dict.fromkeys(
    (
        "getMyOof", "putMyOof", "getMyForward", "putMyForward", "getMyDelegates", "putMyDelegates", "getMySendas",
        "putMySendas", "getMyDevices", "deleteMyDevice", "putMyDeviceResync", "postMyDeviceWipe", "getMyWipes",
    ),
    "a caller who has a mailbox",
)  # fmt: skip

#: Operations that deliberately accept input outside the description.
LENIENT: Final[dict[str, str]] = {
    "bulkUsers": "the description says no more of lines than that they are text; a wrong one is refused by itself",
}

#: Requests are generated in this order, and are the same each time.
OPTIONS: Final = ("--seed", "1", "--generation-deterministic", "--max-examples", "8", "--no-shrink",
                  "--continue-on-failure", "--workers", "1", "--checks", "all", "--no-color")  # fmt: skip


def configuration(token: str) -> str:
    """The configuration of schemathesis. Every request has the login `token`, except those that try without one."""
    fine = ["2xx", "401", "403", "404", "412", "429", "503"]
    refused = ["400", "401", "403", "404", "405", "413", "429", "503"]
    lines = [
        "[auth.openapi.bearer]", f'bearer = "{token}"',
        "[checks.positive_data_acceptance]", f"expected-statuses = {fine}",
        # A list with more entries than are allowed may be larger than any body.
        "[checks.negative_data_rejection]",
        f"expected-statuses = {refused}",
        # An unavailable service has a status of its own and is not a server error.
        "[checks.not_a_server_error]", 'expected-statuses = ["2xx", "3xx", "4xx", "503"]',
    ]  # fmt: skip
    for name in STRICTER.keys() | LENIENT.keys():
        lines += ["[[operations]]", f'include-operation-id = "{name}"']
        if name in STRICTER:
            lines += [f"checks.positive_data_acceptance.expected-statuses = {[*fine, '400']}"]
        if name in LENIENT:
            lines += [f"checks.negative_data_rejection.expected-statuses = {[*refused, '2xx']}"]
    return "\n".join(lines)


@pytest.mark.attack
@pytest.mark.timeout(240)
async def test_schemathesis_finds_nothing(
    start_service: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All checks hold for a few thousand requests to all operations, valid and invalid, single and in sequences."""
    _stay_on_this_machine(monkeypatch)
    service = await start_service(admin_password=PASSWORD, ldap_timeout=0.5, dns_timeout=0.2)
    admin = await service.login("admin", PASSWORD)
    domain = await admin.make_domain("example.org")
    for name in ("jane", "john", "joe"):
        await admin.make_user(domain, name)
    (tmp_path / "schemathesis.toml").write_text(configuration(admin.headers["Authorization"].split()[1]))

    program, document = Path(sys.executable).with_name("schemathesis"), f"{service.url}/api/v1/openapi.json"
    process = await asyncio.create_subprocess_exec(
        program, "run", document, *OPTIONS, cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.conformance.hooks", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        output = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output
    assert service.conformance.asked == own().operations.keys()


def _stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = asyncio.BaseEventLoop.create_connection

    async def local_only(loop: Any, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if host not in (None, "127.0.0.1"):
            raise OSError("Outside of this machine")
        return await connect(loop, factory, host, port, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", local_only)


def test_exceptions_name_operations_that_exist() -> None:
    """No exception is left of an operation that was removed."""
    names = {each["operationId"] for each in own().operations.values()}
    assert names >= STRICTER.keys() | LENIENT.keys()
