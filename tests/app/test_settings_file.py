"""The settings file: what it may say, what it must not, and what takes precedence over it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from postroom.app.cli import init
from postroom.app.cli.main import app
from postroom.app.config import Config, SettingError, load_config, read_settings, settings_file
from tests.support import example_settings
from tests.support.example_settings import values_of

URL = "postgresql://postroom:secret@db.example.org/postroom"


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    """A settings file with this text."""
    path = folder / "postroom.toml"
    path.write_bytes(text.encode())
    path.chmod(mode)
    return str(path)


def run(*arguments: str, **environ: str) -> Any:
    """The result of a command."""
    return CliRunner().invoke(app, arguments, env={"POSTROOM_CONFIG": "", **environ})


def test_every_kind_of_value(tmp_path: Path) -> None:
    """Numbers, switches, texts and lists mean what they mean in a variable; so does one text for a list."""
    config = load_config(
        environ={},
        file=written(
            tmp_path,
            """
            host = ["0.0.0.0", "::"]
            port = 1234
            timezone = "Europe/Berlin"
            access_log = true
            ldap_timeout = 2
            dns_timeout = 0.5
            service_networks = []
            trusted_proxies = "10.0.0.1, 10.0.0.2"
            service_hosts = ["a.b"]
            max_connections = 9
            backup_every = "03:30"
            database = "postgresql://a/b"
            database_replicas = ["postgresql://c/b?x=1,2", "postgresql://d/b"]
            key_file = "/keys"
            """,
        ),
    )
    assert (config.host, config.port, config.timezone.key) == (("0.0.0.0", "::"), 1234, "Europe/Berlin")
    assert (config.access_log, config.ldap_timeout, config.dns_timeout) == (True, 2.0, 0.5)
    assert (config.service_networks, len(config.trusted_proxies)) == ((), 2)
    assert (config.service_hosts, config.max_connections) == (frozenset({"a.b"}), 9)
    assert config.database_replicas == ("postgresql://c/b?x=1,2", "postgresql://d/b")


def test_what_takes_precedence(tmp_path: Path) -> None:
    """An option before a variable, that before the file, and the file before the default; empty means not set."""
    file = written(tmp_path, 'port = 1\nlogin_delay = 2\ntoken_lifetime = 3\ntimezone = "Europe/Berlin"')
    environ = {"POSTROOM_PORT": "11", "POSTROOM_LOGIN_DELAY": "12", "POSTROOM_TOKEN_LIFETIME": ""}
    read = read_settings({"port": "21", "host": None}, environ, file)
    sources = {each.name: (each.value, each.source) for each in read.settings}
    assert sources["port"] == (21, "option")
    assert sources["login_delay"] == (12.0, "environment")
    assert sources["token_lifetime"] == (3, "file")
    assert sources["host"] == (Config().host, "default")


def test_what_names_the_database(tmp_path: Path) -> None:
    """One source names it whole: its name or its file replaces both of what is below; both in one are an error."""
    named = tmp_path / "named"
    named.write_text(f"{URL}\n")
    keys = {"POSTROOM_KEY_FILE": "/keys"}
    file = written(tmp_path, f'database_file = "{named}"\ndatabase_replicas = "{URL}"')
    assert load_config(environ=keys, file=file).database == URL
    assert load_config({"database": "x"}, keys, file).database == "x"
    assert load_config({"database": "x"}, keys, file).database_replicas == ()
    file = written(tmp_path, f'database_file = "{tmp_path}/missing"')
    assert load_config(environ={"POSTROOM_DATABASE": "y"}, file=file).database == "y"
    file = written(tmp_path, 'database = "z"')
    assert load_config(environ={**keys, "POSTROOM_DATABASE_FILE": str(named)}, file=file).database == URL
    file = written(tmp_path, f'database = "z"\ndatabase_file = "{named}"')
    with pytest.raises(SettingError, match=r"database_file in .*, line 2: database in .*, line 1 is set as well"):
        load_config(environ={}, file=file)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prot = 8080", "prot in FILE, line 1: there is no such setting; did you mean port?"),
        ("\n\nPOSTROOM_PORT = 8080", "line 3: there is no such setting; did you mean port?"),
        ("something = 1", "line 1: there is no such setting"),
        ("config = 'x'", "config in FILE, line 1: there is no such setting"),
        ("# port\n[ldap]\ntimeout = 4", "ldap in FILE, line 2: there are no sections; write ldap_timeout = ..."),
        ("ldap.timeout = 4", "ldap in FILE, line 1: there are no sections; write ldap_timeout = ..."),
        ('port = "8080"', "port in FILE, line 1: write a whole number, without quotes"),
        ("port = true", "write a whole number"),
        ("port = 80.5", "write a whole number"),
        ("port = 65536", "port in FILE, line 1: 65536 is not a port number"),
        ('ldap_timeout = "5"', "write a number, without quotes"),
        ("ldap_timeout = nan", "nan is not a number of seconds"),
        ("access_log = 1", "write true or false, without quotes"),
        ('access_log = "yes"', "write true or false, without quotes"),
        ("timezone = 3", "write a text, in quotes"),
        ("backup_every = 03:30:00", "write a text, in quotes"),
        ('timezone = ""', "empty; leave the line out"),
        ("host = []", "name at least one address"),
        ("host = 1", "write a list of texts"),
        ("host = ['::1', 1]", "write a list of texts"),
        ("host = ['']", "write a list of texts"),
        ("port = ", "not TOML: Invalid value (at "),
        ("port = 1\nport = 2", "not TOML: Cannot overwrite a value"),
        ("port = 03", "not TOML"),
        ("a = " + "[" * 100_000, "not TOML: a value that nobody can need"),
        ("port = " + "1" * 10_000, "not TOML: a value that nobody can need"),
        ("#" * 1024 * 1024 + "\n", "larger than a megabyte"),
        ("tls_cert = '/none'", "the file /none cannot be read"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """One line that names the place and says what to write."""
    file = written(tmp_path, text)
    with pytest.raises(SettingError) as refused:
        load_config(environ={}, file=file)
    assert reason.replace("FILE", file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bytes_of_editors(tmp_path: Path) -> None:
    """A byte order mark and the line ends of Windows are fine; other encodings are refused."""
    path = tmp_path / "postroom.toml"
    path.write_bytes(b"\xef\xbb\xbfport = 1\r\nlogin_delay = 2\r\n")
    assert load_config(environ={}, file=str(path)).port == 1
    path.write_bytes('timezone = "Zürich"'.encode("latin-1"))
    with pytest.raises(SettingError, match="not in UTF-8"):
        load_config(environ={}, file=str(path))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are refused, because somebody has named them; /dev/null is an empty file."""
    for path, reason in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingError, match=reason):
            load_config(environ={}, file=str(path))
    assert values_of(load_config(environ={}, file="/dev/null")) == values_of(Config())


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ('admin_password = "secret"', 0o644, r"everybody may read it \(mode 0644\), and admin_password is a secret"),
        (f'database = "{URL}"', 0o604, "database is a secret"),
        (f'database_replicas = ["postgresql://a/b", "{URL}"]', 0o644, "database_replicas is a secret"),
        ('database = "postgresql://a/b?password=secret"', 0o644, "database is a secret"),
        ("port = 1", 0o602, r"everybody may change it \(mode 0602\)"),
        ('admin_password = "secret"', 0o640, None),
        ('database = "postgresql://a@b:5432/c"\nkey_file = "/keys"', 0o644, None),
        ("port = 1", 0o664, None),
    ],
)
def test_who_may_read_it(tmp_path: Path, text: str, mode: int, reason: str | None) -> None:
    """With a secret only its owner and a group; nobody else may change it in any case."""
    file = written(tmp_path, text, mode)
    if reason is None:
        load_config(environ={"POSTROOM_KEY_FILE": "/keys"}, file=file)
        return
    with pytest.raises(SettingError, match=reason) as refused:
        load_config(environ={"POSTROOM_KEY_FILE": "/keys"}, file=file)
    assert "secret@" not in str(refused.value)


def test_which_file(tmp_path: Path) -> None:
    """The option before the variable; without both the usual one, if there is one."""
    assert settings_file("a", {"POSTROOM_CONFIG": "b"}) == "a"
    assert settings_file(None, {"POSTROOM_CONFIG": "b"}) == "b"
    usual = Path("/etc/postroom/postroom.toml")
    assert settings_file(None, {}) == (str(usual) if usual.exists() else None)


def test_an_empty_name_is_none_of_a_file() -> None:
    """A variable without a value is not the usual file, which a command of root would make or change."""
    done = run("--config", "", "config", "check")
    assert (done.exit_code, done.stderr) == (2, "postroom: --config: name a file\n")
    with pytest.raises(SettingError, match="--config: name a file"):
        init._places("", None)


def test_check_shows_where_values_come_from(tmp_path: Path) -> None:
    """Each setting with its source; secrets are not shown, in either form; exit code 0."""
    file = written(tmp_path, f'port = 8081\nadmin_password = "secret"\ndatabase = "{URL}"')
    environ = {"POSTROOM_KEY_FILE": "/keys"}
    result = run("--config", file, "config", "check", **environ)
    assert result.exit_code == 0, result.output
    assert re.search(r"^port +8081 +file *$", result.output, re.MULTILINE)
    assert re.search(r"^key_file +/keys +environment *$", result.output, re.MULTILINE)
    assert re.search(r"^login_delay +60 +default *$", result.output, re.MULTILINE)
    assert f"Settings file: {file}" in result.output
    assert "secret" not in result.output
    document = json.loads(run("--config", file, "config", "check", "--json", **environ).stdout)
    values = {each["name"]: (each["value"], each["source"]) for each in document["data"]["settings"]}
    assert values.keys() == Config.__dataclass_fields__.keys()
    assert values["admin_password"] == ("(not shown)", "file")
    assert values["database"] == ("postgresql://postroom@db.example.org/postroom", "file")
    assert (document["data"]["file"], document["data"]["faults"]) == (file, [])


def test_check_lists_every_fault(tmp_path: Path) -> None:
    """Not only the first one, also those of the environment; exit code 1."""
    file = written(tmp_path, 'prot = 1\nhost = 2\ntimezone = "Mars/Olympus"')
    environ = {"POSTROOM_LOGIN_DELAY": "never", "POSTROOM_PROT": "1"}
    result = run("--config", file, "config", "check", "--json", **environ)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    faults = document["data"]["faults"]
    assert document["message"] == "Wrong: 5."
    assert len(faults) == 5
    for each in ("line 1", "line 2", "line 3", "POSTROOM_LOGIN_DELAY", "POSTROOM_PROT"):
        assert any(each in fault for fault in faults)
    shown = run("--config", file, "config", "check", **environ)
    assert (shown.exit_code, shown.stderr.count("postroom: ")) == (1, 5)


def test_commands_read_it(tmp_path: Path) -> None:
    """Every command takes the database from it, and refuses a file with a mistake in one line and exit code 2."""
    file = written(tmp_path, f'database = "{tmp_path}/there.sqlite3"')
    commands = (
        ["audit"], ["backup", str(tmp_path)], ["doctor", "--offline"], ["export", "--seed"], ["key", "rotate"],
        ["ldap", "test"], ["migrate"], ["token", "list"], ["backup", "replicate", "--to", str(tmp_path)],
    )  # fmt: skip
    for command in commands:
        result = run("--config", file, *command)
        assert f"{tmp_path}/there.sqlite3" in result.output, (command, result.output)
    file = written(tmp_path, "prot = 1")
    for command in (*commands, ["serve"], ["restore", "x"], ["move", "a", "b"], ["backup", "verify", "x"]):
        result = run("--config", file, *command)
        assert "did you mean port?" in result.output, (command, result.output)
        assert result.exit_code in ({1, 2} if command[0] == "doctor" else {2}), command


def test_the_example_is_made_from_the_documentation() -> None:
    """Otherwise run `python -m tests.support.example_settings`."""
    assert example_settings.FILE.read_text("utf-8") == example_settings.example()
    assert run("config", "example").output == example_settings.example()


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    """With the default lines as real ones, every setting is as without a file."""
    lines = re.sub(r"^#(\w+ = .+)$", r"\1", example_settings.example(), flags=re.MULTILINE)
    assert lines.count("\n#") > len(re.findall(r"^\w", lines, re.MULTILINE)) > 15
    config = load_config(environ={}, file=written(tmp_path, re.sub(r"^#\w+ =$", "", lines, flags=re.MULTILINE)))
    # What the limit of open files allows, up to this number.
    assert values_of(replace(config, max_connections=None)) == values_of(Config())
