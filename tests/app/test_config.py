"""Settings: read, checked, documented."""

from dataclasses import fields
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

from postroom.app.config import Config, SettingError, load_config
from tests.support.example_settings import values_of

ROOT = Path(__file__).parents[2]


def test_defaults_listen_on_loopback_alone() -> None:
    """Nothing set means loopback of both kinds, port 8080, and a file."""
    config = load_config(environ={})
    assert values_of(config) == values_of(Config())
    assert (config.host, config.port) == (("127.0.0.1", "::1"), 8080)


def test_environment_and_options() -> None:
    """The environment is read, an option goes before it, and empty means not set."""
    environ = {"POSTROOM_PORT": "1234", "POSTROOM_HOST": "0.0.0.0, [::]", "POSTROOM_TIMEZONE": ""}
    config = load_config({"port": "4321", "database": None}, environ)
    assert (config.port, config.host) == (4321, ("0.0.0.0", "::"))
    assert config.timezone.key == "UTC"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "x"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "8080.5"),
        ("HOST", " , "),
        ("DATABASE", ""),
        ("TIMEZONE", "Mars/Olympus"),
        ("TIMEZONE", "../../etc/passwd"),
        ("TOKEN_LIFETIME", "0"),
        ("PASSWORD_MIN_LENGTH", "0"),
        ("SERVICE_NETWORKS", "300.1.1.1"),
        ("LDAP_TIMEOUT", "never"),
        ("LDAP_TIMEOUT", "nan"),
        ("LDAP_CA_FILE", "/nonexistent.pem"),
        ("DNS_SERVERS", "dns.example.com"),
        ("DNS_SERVERS", "127.0.0.1:0"),
        ("DNS_SERVERS", "127.0.0.1:"),
        ("DNS_SERVERS", "[::1"),
        ("DNS_SERVERS", "[::1]53"),
        ("DNS_SERVERS", "127.0.0.1:53:53"),
        ("DNS_EXTERNAL", "127.0.0.1,300.1.1.1"),
        ("DNS_TIMEOUT", "0"),
        ("DNS_TIMEOUT", "inf"),
        ("SHUTDOWN_TIMEOUT", "-1"),
        ("ACCESS_LOG", "maybe"),
        ("ADMIN_PASSWORD", "x" * 513),
        ("BACKUP_EVERY", "0h"),
        ("BACKUP_EVERY", "24"),
        ("BACKUP_EVERY", "24:00"),
        ("BACKUP_KEEP", "7"),
        ("BACKUP_KEEP", "0d"),
        ("BACKUP_KEEP", "7d,3d"),
        ("BACKUP_KEEP", "7d;4w"),
        ("BACKUP_KEEP", ","),
    ],
)
def test_bad_settings_are_named(name: str, value: str) -> None:
    """A setting that cannot be used is refused in one line that names it, and shows no password."""
    with pytest.raises(SettingError) as refused:
        load_config(environ={f"POSTROOM_{name}": value})
    text = str(refused.value)
    assert f"POSTROOM_{name}" in text
    assert "\n" not in text
    assert "xxx" not in text


def test_good_settings() -> None:
    """Each kind of value is read as what it means."""
    environ: dict[str, Any] = {
        "POSTROOM_TIMEZONE": "Europe/Berlin",
        "POSTROOM_SERVICE_NETWORKS": "10.0.0.0/8, fd00::/8",
        "POSTROOM_LDAP_TIMEOUT": "2.5",
        "POSTROOM_ACCESS_LOG": "yes",
        "POSTROOM_PORT": "0",
        "POSTROOM_BACKUP_EVERY": "03:30",
        "POSTROOM_BACKUP_KEEP": "24h, 7d,12m",
        "POSTROOM_DNS_SERVERS": "127.0.0.1:5353, [::1]:54,[fd00::1], ::1,192.0.2.53",
    }
    config = load_config(environ=environ)
    assert config.timezone.key == "Europe/Berlin"
    assert [str(network) for network in config.service_networks] == ["10.0.0.0/8", "fd00::/8"]
    assert config.dns_servers == (("127.0.0.1", 5353), ("::1", 54), ("fd00::1", 53), ("::1", 53), ("192.0.2.53", 53))
    assert (config.backup_every, config.backup_keep) == (time(3, 30), {"h": 24, "d": 7, "m": 12})
    assert load_config({}, {"POSTROOM_BACKUP_EVERY": "90m"}).backup_every == timedelta(minutes=90)
    assert (config.ldap_timeout, config.access_log, config.port) == (2.5, True, 0)


def test_every_setting_is_documented() -> None:
    """docs/configuration.md has a row for every setting and for none that is not there."""
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    documented = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `POSTROOM_")}
    settings = {f"POSTROOM_{setting.name.upper()}" for setting in fields(Config)}
    assert documented == settings | {"POSTROOM_DATABASE_FILE"}


def test_a_database_in_memory_has_no_backups() -> None:
    """A schedule for it is a mistake."""
    with pytest.raises(SettingError, match="POSTROOM_BACKUP_FOLDER"):
        load_config({"database": ":memory:"}, {"POSTROOM_BACKUP_FOLDER": "/srv/backups"})


URL = "postgresql://postroom:secret@db.example.org/postroom"


def test_a_database_on_a_server_needs_a_key_file() -> None:
    """There is no file beside which the keys could be."""
    with pytest.raises(SettingError, match="POSTROOM_KEY_FILE"):
        load_config({}, {"POSTROOM_DATABASE": URL})
    config = load_config({}, {"POSTROOM_DATABASE": URL, "POSTROOM_KEY_FILE": "/keys"})
    assert (config.database, config.beside) == (URL, "/keys")
    assert load_config({}, {"POSTROOM_KEY_FILE": "/keys"}).beside == "postroom.sqlite3"


@pytest.mark.parametrize("url", ["mysql://u:secret@host/db", "postgresql://", "http://secret"])
def test_a_url_of_something_else(url: str) -> None:
    """It is refused, and the message does not show it: it may hold a password."""
    with pytest.raises(SettingError, match="postgresql://user:password@host/name") as caught:
        load_config({}, {"POSTROOM_DATABASE": url, "POSTROOM_KEY_FILE": "/keys"})
    assert "secret" not in str(caught.value)


def test_the_database_may_be_named_in_a_file(tmp_path: Path) -> None:
    """For a URL with a password; the file counts when the variable is not set, and both are an error."""
    path = tmp_path / "database"
    environ = {"POSTROOM_DATABASE_FILE": str(path), "POSTROOM_KEY_FILE": "/keys"}
    with pytest.raises(SettingError, match="cannot be read"):
        load_config({}, environ)
    path.write_text("\n")
    with pytest.raises(SettingError, match="is empty"):
        load_config({}, environ)
    path.write_text(f"{URL}\nmore\n")
    assert load_config({}, environ).database == URL
    assert load_config({"database": "other.sqlite3"}, environ).database == "other.sqlite3"
    with pytest.raises(SettingError, match="set one of them"):
        load_config({}, {**environ, "POSTROOM_DATABASE": "x"})
