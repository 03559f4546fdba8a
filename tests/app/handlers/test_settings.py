"""The settings in the API: with where each comes from, and without secrets."""

from dataclasses import fields, replace
from pathlib import Path

from postroom.app.config import Config, load_config
from postroom.app.services.shown_settings import in_force, rows
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api


async def test_settings_of_a_service(start_service: StartService) -> None:
    """All of them in the order of the documentation; what is not the default was chosen when the service was started.
    Only whoever may read everything sees them.
    """
    service = await start_service(login_delay=5.0)
    admin = await service.login("admin", ADMIN_PASSWORD)
    shown = (await admin.get("/system/settings"))["data"]
    assert [each["name"] for each in shown] == [each.name for each in fields(Config)]
    by_name = {each["name"]: (each["value"], each["source"]) for each in shown}
    assert by_name["login_delay"] == ("5", "option")
    assert by_name["login_failures"] == ("10", "default")
    assert by_name["key_file"][0] in ("", service.context.config.key_file)
    assert by_name["admin_password"] == ("(not shown)", "option")
    reader = await service.login_with(await admin.make_domain("example.org"), ("DomainAdmin", {"everything": True}))
    await reader.refused(403, "GET", "/system/settings")


def test_where_they_come_from(tmp_path: Path) -> None:
    """The last source that names a setting, in its own words; what the program has changed since is an option."""
    file = tmp_path / "postroom.toml"
    url = "postgresql://me:secret@db.example.org/postroom"
    file.write_text(f'port = 8081\nlogin_delay = 20\ndatabase = "{url}"\nkey_file = "/keys"', "utf-8")
    file.chmod(0o600)
    environ = {"POSTROOM_LOGIN_DELAY": "30", "POSTROOM_ADMIN_PASSWORD": "secret"}
    config = load_config({"workers": "2"}, environ, str(file))
    shown = {each["name"]: (each["value"], each["source"]) for each in rows(in_force(replace(config, port=1)))}
    assert shown["port"] == ("1", "option")
    assert shown["login_delay"] == ("30", "environment")
    assert shown["admin_password"] == ("(not shown)", "environment")
    assert shown["database"] == ("postgresql://me@db.example.org/postroom", "file")
    assert shown["workers"] == ("2", "option")
    assert shown["backup_every"] == ("24h", "default")


async def test_an_empty_secret_is_no_secret(admin: Api) -> None:
    """Whoever reads them sees that none is set."""
    assert [each["value"] for each in rows(in_force(Config())) if each["name"] == "admin_password"] == [""]
    assert await admin.get("/system/settings")
