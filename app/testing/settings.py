"""Which settings a server of a test may have."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from postroom.app.config import Config, SettingError, load_config
from postroom.storage.connections import IN_MEMORY
from postroom.testing.errors import HarnessError
from postroom.testing.passwords import PASSWORD

#: What makes it a server of a test: where it listens, and where its data is.
FIXED: Final = frozenset({
    "backup_folder", "database", "database_replicas", "host", "key_file", "mail_dovecot_group", "mail_postfix_group",
    "mail_sockets", "port", "service_socket", "service_socket_group", "tls_cert", "tls_key", "workers",
})  # fmt: skip


def settings_of(given: Mapping[str, object] | None) -> Config:
    """The settings, named and written as in docs/configuration.md, without POSTROOM_ and in lower case.

    The environment does not count. Raises HarnessError.
    """
    for name in given or {}:
        if name in FIXED:
            raise HarnessError(f"settings: {name} cannot be chosen; a server of a test is in memory and on loopback")
        if name not in Config.__dataclass_fields__:
            raise HarnessError(f"settings: there is no setting {name}; docs/configuration.md lists them all")
    try:
        config = load_config(given, environ={})
    except SettingError as error:
        raise HarnessError(f"settings: {error}") from None
    return replace(config, database=IN_MEMORY, admin_password=config.admin_password or PASSWORD)
