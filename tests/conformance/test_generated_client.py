"""A client that openapi-python-client generates from the served description, in ordinary use."""

import importlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app.openapi.document import build
from postroom.app.routes import BASE, ROUTES
from tests.support.generators import files
from tests.support.service import ADMIN_PASSWORD, Api, Service

PACKAGE = "generated_postroom_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The generator's run; its working directory has the package."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_bytes(build(BASE, ROUTES))
    # Formatting the code with ruff would only take time.
    (folder / "config.yml").write_text(f"post_hooks: []\n{files()['openapi_python_client.yml']}")
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--path", "openapi.json"]
    command += ["--config", "config.yml", "--meta", "none", "--output-path", str(folder / PACKAGE), "--fail-on-warning"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
async def client(generated: subprocess.CompletedProcess[str], service: Service) -> AsyncIterator["Client"]:
    """The generated client."""
    folder = Path(generated.args[-2]).parent
    sys.path.insert(0, str(folder))
    try:
        made = Client(service)
        yield made
        await made.close()
    finally:
        sys.path.remove(str(folder))


class Client:
    """The generated package; `await client("users", "get_user", 1, 2)` calls an operation of a tag."""

    def __init__(self, service: Service) -> None:
        self.models: Any = importlib.import_module(f"{PACKAGE}.models")
        self._package: Any = importlib.import_module(PACKAGE)
        self._url = f"{service.url}/api/v1"
        self._client = self._package.Client(base_url=self._url)

    async def log_in(self) -> None:
        """Logs in with the generated operation, and keeps the token."""
        answer = await self("misc", "post_login", body=self.models.Login(user="admin", pass_=ADMIN_PASSWORD))
        await self.close()
        self._client = self._package.AuthenticatedClient(base_url=self._url, token=answer.grommunio_auth_jwt)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.get_async_httpx_client().aclose()

    async def __call__(self, tag: str, name: str, *arguments: Any, **options: Any) -> Any:
        operation = importlib.import_module(f"{PACKAGE}.api.{tag}.{name}")
        return await operation.asyncio(*arguments, client=self._client, **options)


def test_generation_has_no_warnings(generated: subprocess.CompletedProcess[str]) -> None:
    """The generator prints no warning and leaves no operation out."""
    assert generated.returncode == 0, generated.stdout + generated.stderr
    assert "WARNING" not in generated.stdout + generated.stderr
    folder = Path(generated.args[-2]) / "api"
    operations = {path.stem.replace("_", "").lower() for path in folder.rglob("*.py")} - {"init", ""}
    from tests.support.description import own

    assert {each["operationId"].lower() for each in own().operations.values()} <= operations


async def test_types_are_those_of_the_description(client: Client) -> None:
    """A reference may be null only where the description says so; a value of two types has both."""
    models = client.models

    def types(model: Any, name: str) -> set[str]:
        return set(model.__annotations__[name].split(" | ")) - {"Unset"}

    assert types(models.User, "forward") == types(models.UserPatch, "forward") == {"Forward", "None"}
    assert types(models.SyncPolicyAnswer, "data") == {"SyncPolicy"}
    assert types(models.Device, "asversion") == {"float", "str"}
    assert types(models.UserPatch, "id") == {"int"}


async def test_whole_life_of_a_user(client: Client, service: Service, admin: Api, domain: int) -> None:
    """Login, create, read, list, change, the lists of a user, delete, and an error: all by generated code."""
    models, users = client.models, "domain_admin_users"
    await client.log_in()
    properties = models.UserCreateProperties.from_dict({"displayname": "Jane"})
    new = models.UserCreate(username="jane", password="a good password", smtp=True, properties=properties)
    user = await client(users, "post_user", domain, body=new)
    assert (user.username, user.smtp, user.properties["displayname"]) == ("jane@example.org", True, "Jane")
    await client(users, "post_user", domain, body=models.UserCreate(username="info", status=models.UserCreateStatus(4)))
    contact = await client(users, "post_user", domain, body=models.UserCreate(status=models.UserCreateStatus(5)))
    assert contact.username == f"contact-{contact.id}"
    place = (domain, user.id)

    assert await client(users, "get_user", *place) == user
    page = await client(users, "get_users", domain, match="jane", match_props=["displayname"], level=2)
    assert (page.count, page.data[0].id) == (1, user.id)
    forward = models.Forward(forward_type=models.ForwardForwardType(1), destination="jane@example.net")
    changed = await client(users, "patch_user", *place, body=models.UserPatch(forward=forward, lang="de_AT"))
    assert (changed.forward, changed.lang, changed.smtp) == (forward, "de_AT", True)
    cleared = await client(users, "patch_user", *place, body=models.UserPatch(forward=None))
    assert cleared.forward is None

    for room in ("delegates", "sendas"):
        await client(users, f"put_{room}", *place, body=["info@example.org"])
        assert (await client(users, f"get_{room}", *place)).data == ["info@example.org"]
    props = models.StorePropsPatch.from_dict({"title": "Dr", "nosuch": 1})
    assert (await client(users, "patch_store_props", *place, body=props)).errors.to_dict() == {"nosuch": "Unknown tag"}
    assert (await client(users, "get_store_props", *place, properties=["title"])).data.to_dict() == {"title": "Dr"}
    await client(users, "delete_store_props", *place, properties=["title"])
    access = models.StoreAccessPut(usernames=["info@example.org"])
    await client(users, "put_store_access_user", *place, body=access)
    assert [each.username for each in (await client(users, "get_store_access_users", *place)).data] == access.usernames
    await client(users, "delete_store_access_user", *place, "info@example.org")

    oof = models.Oof(state=models.OofState(1), internal_subject="Away")
    await client(users, "set_oof_size", *place, body=oof)
    assert (await client(users, "oof_size_large", *place)).internal_subject == "Away"
    assert (await client(users, "get_domain_sync_policy", domain)).data.maxdevpwfailedattempts == 8
    report = models.DeviceReport(devicetype="Phone", asversion=16.1)
    await client("service", "put_device_report", "jane@example.org", "phone", body=report)
    (device,) = (await client(users, "get_synced_devices", *place)).data
    assert (device.deviceid, device.asversion, device.firstsynctime) == ("phone", 16.1, None)
    await client(users, "post_device_wipe", *place, "phone", body=models.WipeRequest(password=ADMIN_PASSWORD))
    await client(users, "cancel_wipe", *place, "phone")
    await client(users, "set_password", *place, body=models.NewPassword(new="a better password"))

    refused = await client(users, "patch_user", *place, body=models.UserPatch(username="info"))
    assert isinstance(refused, models.Error)
    assert "info@example.org" in refused.message
    assert "has been deleted" in (await client(users, "delete_user", *place)).message
    assert isinstance(await client(users, "get_user", *place), models.Error)


async def test_without_a_login(client: Client) -> None:
    """A wrong password is a response of its own type, not an exception."""
    wrong = await client("misc", "post_login", body=client.models.Login(user="admin", pass_="wrong"))
    assert isinstance(wrong, client.models.Unauthenticated)
    assert wrong.error
