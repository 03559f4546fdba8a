"""TLS: protocol versions and ciphers, and loading a renewed certificate without closing connections."""

import asyncio
import logging
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from cryptography import x509

log = logging.getLogger("postroom.tls")

#: For TLS 1.2: only ciphers with forward secrecy and authenticated encryption. All ciphers of TLS 1.3 have both.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: Seconds that a client may take for the TLS handshake, and for the TLS shutdown.
HANDSHAKE_TIMEOUT = 10.0
_SHUTDOWN_TIMEOUT = 5.0


class TlsError(Exception):
    """The certificate or its key cannot be used; the text gives the reason in one line."""


class Tls:
    """The TLS context of a listening socket. Its certificate can be replaced while it runs. Raises TlsError."""

    def __init__(self, certificate: str, key: str) -> None:
        self._files = certificate, key
        self._current = _load(certificate, key)
        _check_dates(certificate)
        #: Accepts the connections; each one then switches to the context that was loaded last.
        self.context = _load(certificate, key)
        self.context.sni_callback = self._take_current

    def _take_current(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: object) -> None:
        # OpenSSL also calls this for clients that name no server. The new pair is not loaded into the context in use:
        # if it were broken, the context would be left without a certificate.
        connection.context = self._current

    def reload(self) -> None:
        """Loads the files again. If they cannot be used, the current certificate stays in use."""
        try:
            self._current = _load(*self._files)
            _check_dates(self._files[0])
        except TlsError as error:
            log.error("The certificate in use stays: %s", error)  # noqa: TRY400 - the line is enough
        else:
            log.info("New connections get the certificate in %s", self._files[0])


class TlsSite(web.SockSite):
    """A listening socket with time limits for the TLS handshake and shutdown."""

    async def start(self) -> None:
        """Starts to accept connections."""
        # Does what web.SockSite does, which has no option for the time limits.
        await web.BaseSite.start(self)
        server = self._runner.server
        if server is None:
            raise RuntimeError("The runner has not been set up")
        self._server = await asyncio.get_running_loop().create_server(
            server,
            sock=self._sock,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            ssl_shutdown_timeout=_SHUTDOWN_TIMEOUT,
        )


def _load(certificate: str, key: str) -> ssl.SSLContext:
    _check_key_file(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE

    def refuse() -> str:
        # Otherwise OpenSSL would ask for the passphrase on the terminal.
        raise TlsError(f"The key {key} is encrypted; postroom needs it without a passphrase")

    try:
        context.load_cert_chain(certificate, key, password=refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"The key {key} is not that of the certificate {certificate}") from None
        raise TlsError(f"{certificate} and {key} are not a usable certificate and key in PEM") from None
    except OSError as error:
        raise TlsError(f"{certificate} and {key} cannot be read: {error.strerror}") from None
    return context


def _check_key_file(key: str) -> None:
    try:
        mode = stat.S_IMODE(Path(key).stat().st_mode)
    except OSError as error:
        raise TlsError(f"The key {key} cannot be read: {error.strerror}") from None
    # A group may read it: Debian has the group ssl-cert for this.
    if mode & 0o027:
        raise TlsError(f"Others may use the key {key} (mode {mode:04o}): chmod 600, or 640 for a group that reads it")


def _check_dates(certificate: str) -> None:
    try:
        first = x509.load_pem_x509_certificates(Path(certificate).read_bytes())[0]
    except (OSError, ValueError) as error:
        raise TlsError(f"{certificate} cannot be read: {error}") from None
    now = datetime.now(UTC)
    if first.not_valid_after_utc < now:
        log.warning("The certificate in %s has expired on %s", certificate, first.not_valid_after_utc)
    elif first.not_valid_before_utc > now:
        log.warning("The certificate in %s is not valid before %s", certificate, first.not_valid_before_utc)
