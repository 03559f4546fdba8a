"""Which setting has which kind of value."""

from collections.abc import Callable, Mapping
from typing import Final

from postroom.app import settings

#: Setting -> what its text means; those that are missing are any text.
PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "host": settings.hosts,
    "port": lambda text: settings.whole(text, 0, 65535, "a port number between 0 and 65535"),
    "database": settings.database,
    "database_replicas": settings.databases,
    "tls_cert": settings.readable_file,
    "tls_key": settings.readable_file,
    "admin_password": settings.password,
    "timezone": settings.timezone,
    "token_lifetime": lambda text: settings.whole(text, 1, 10 * 366 * 24 * 3600, "a number of seconds up to ten years"),
    "password_min_length": lambda text: settings.whole(text, 1, 512, "a number of characters between 1 and 512"),
    "login_failures": lambda text: settings.whole(text, 0, 1000, "a number of failures between 0 and 1000"),
    "login_delay": lambda text: settings.number(text, 1, 3600, "a number of seconds between 1 and 3600"),
    "service_networks": settings.networks_or_none,
    "trusted_proxies": settings.networks,
    "service_hosts": settings.names,
    "service_socket": settings.socket_path,
    "service_socket_group": settings.group,
    "mail_sockets": settings.sockets_folder,
    "mail_postfix_group": settings.group,
    "mail_dovecot_group": settings.group,
    "ldap_timeout": settings.seconds,
    "ldap_ca_file": settings.readable_file,
    "ldap_grace": lambda text: settings.number(text, 0, 31 * 24 * 3600, "a number of seconds up to 31 days"),
    "ldap_orphan_share": lambda text: settings.number(text, 0, 100, "a share between 0 and 100 percent"),
    "dns_servers": settings.servers,
    "dns_external": settings.servers,
    "dns_timeout": lambda text: settings.number(text, 0.1, 60, "a number of seconds between 0.1 and 60"),
    "search_timeout": settings.seconds,
    "shutdown_timeout": settings.seconds,
    "access_log": settings.flag,
    "log_format": settings.log_format,
    "page": settings.flag,
    "metrics": settings.flag,
    "metrics_networks": settings.networks_or_none,
    "audit_days": lambda text: settings.whole(text, 0, 36_500, "a number of days up to 36500; 0: for ever"),
    "max_connections": settings.connections,
    "max_connections_per_source": settings.connections,
    "backup_every": settings.every,
    "backup_keep": settings.keep,
    "workers": settings.workers,
}
