"""TLS by itself: real certificates, a real process, and clients that speak anything."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.test_cli import Running, fails, serving, wait_until
from tests.support.certificates import Pair, make_authority, make_certificate

pytestmark = pytest.mark.attack


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    """Who signs the certificates."""
    return make_authority(tmp_path / "authority")


@pytest.fixture
def pair(tmp_path: Path, authority: Pair) -> Pair:
    """A certificate for localhost, and its key."""
    return make_certificate(tmp_path / "tls", authority, "DNS:localhost,IP:127.0.0.1")


@contextlib.contextmanager
def serving_tls(folder: Path, pair: Pair) -> Iterator[Running]:
    """Runs the service with a certificate."""
    options = ["--tls-cert", str(pair[0]), "--tls-key", str(pair[1])]
    with serving(folder, *options, POSTROOM_ADMIN_PASSWORD="secret", POSTROOM_DATABASE=":memory:") as running:
        yield running


def trusting(authority: Pair) -> ssl.SSLContext:
    """What a client with good manners has."""
    return ssl.create_default_context(cafile=str(authority[0]))


def shake(running: Running, context: ssl.SSLContext, name: str | None = "localhost") -> ssl.SSLSocket:
    """A connection."""
    plain = socket.create_connection(("127.0.0.1", running.ports[0]), timeout=20)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def serial(connection: ssl.SSLSocket) -> str:
    """Which certificate it got."""
    certificate = connection.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def test_what_is_offered(tmp_path: Path, authority: Pair, pair: Pair) -> None:
    """TLS 1.3 and 1.2 with good ciphers and HTTP/1.1; OpenSSL's own client gets nothing older and nothing weaker."""
    with serving_tls(tmp_path, pair) as running:
        assert "https://127.0.0.1" in "".join(running.lines)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = trusting(authority)
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(["h2", "http/1.1"])
            with shake(running, context) as connection:
                cipher = connection.cipher()
                assert connection.version() == version.name.replace("_", ".")
                assert connection.selected_alpn_protocol() == "http/1.1"
                assert connection.compression() is None
                assert cipher is not None
                assert cipher[0].startswith(("ECDHE-", "TLS_"))
                connection.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        at = f"127.0.0.1:{running.ports[0]}"
        for refused in (
            ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
            ["-tls1_2", "-cipher", "AES256-GCM-SHA384:AES128-SHA:ECDHE-RSA-AES256-SHA384"],
        ):
            result = subprocess.run(
                ["openssl", "s_client", "-connect", at, *refused], input=b"", capture_output=True, check=False
            )
            assert result.returncode != 0, refused
            assert b"Cipher is (NONE)" in result.stdout
        renegotiating = subprocess.run(
            ["openssl", "s_client", "-connect", at, "-tls1_2"], input=b"R\n", capture_output=True, check=False
        )
        assert b"no renegotiation" in renegotiating.stderr


def test_renewal(tmp_path: Path, authority: Pair, pair: Pair) -> None:
    """After SIGHUP new connections get the new certificate, also without a name; open ones go on; a broken pair changes
    nothing but the log.
    """
    context = trusting(authority)
    nameless = trusting(authority)
    nameless.check_hostname = False
    with serving_tls(tmp_path, pair) as running, shake(running, context) as long_lived:
        before, old_key = serial(long_lived), pair[1].read_bytes()
        make_certificate(tmp_path / "tls", authority, "DNS:localhost,IP:127.0.0.1")
        new_key = pair[1].read_bytes()

        def served() -> set[str]:
            found = set()
            for client, name in ((context, "localhost"), (nameless, None)):
                with shake(running, client, name) as connection:
                    found.add(serial(connection))
            return found

        pair[1].write_bytes(old_key)
        running.process.send_signal(signal.SIGHUP)
        for _ in range(20):
            assert served() == {before}
        pair[1].write_bytes(new_key)
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: before not in served())
        assert len(served()) == 1
        client = http.client.HTTPConnection("localhost")
        client.sock = long_lived
        for _ in range(2):
            client.request("GET", "/api/v1/status")
            answer = client.getresponse()
            assert answer.status == 200
            answer.read()
        assert running.stop() == 0
        log = "".join(running.lines)
        assert log.count("The certificate in use stays: ") == 1
        assert "is not that of the certificate" in log
        assert "Traceback" not in log


def test_what_is_no_tls(tmp_path: Path, authority: Pair, pair: Pair) -> None:
    """Plain HTTP, garbage and silence end by themselves; the log stays free of them, and others are served."""
    with serving_tls(tmp_path, pair) as running:
        at = ("127.0.0.1", running.ports[0])
        silent = socket.create_connection(at, timeout=60)
        for garbage in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            os.urandom(500),
            b"\x16\x03\x01\x02\x00\x01",
            b"\0" * 500,
        ):
            with socket.create_connection(at, timeout=60) as client:
                client.sendall(garbage)
                with contextlib.suppress(ConnectionResetError):
                    assert not client.recv(4096).startswith(b"HTTP")
        with shake(running, trusting(authority)) as connection:
            connection.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        with silent, contextlib.suppress(ConnectionResetError):
            assert silent.recv(10) == b""
        assert running.stop() == 0
        assert not [word for word in ("Traceback", "ERROR", "WARNING") if word in "".join(running.lines)]


def test_pairs_that_are_refused(tmp_path: Path, authority: Pair, pair: Pair) -> None:
    """A key of something else, an encrypted one, one that others can read, files of something else: one line each."""
    other = authority[1]

    def refused(certificate: Path, key: Path) -> str:
        return fails(tmp_path, "--port", "0", "--tls-cert", str(certificate), "--tls-key", str(key))

    assert "is not that of the certificate" in refused(pair[0], other)
    encrypted = tmp_path / "encrypted.key"
    subprocess.run(
        ["openssl", "pkey", "-in", pair[1], "-aes256", "-passout", "pass:x", "-out", encrypted],
        check=True,
        capture_output=True,
    )
    assert "without a passphrase" in refused(pair[0], encrypted)
    assert "not a usable certificate and key in PEM" in refused(pair[1], pair[1])
    assert "POSTROOM_TLS_CERT needs POSTROOM_TLS_KEY" in fails(tmp_path, "--tls-cert", str(pair[0]))
    assert "POSTROOM_TLS_KEY needs POSTROOM_TLS_CERT" in fails(tmp_path, "--tls-key", str(pair[1]))
    assert "--tls-cert" in refused(tmp_path / "nothing", pair[1])
    pair[1].chmod(0o604)
    assert "chmod 600" in refused(pair[0], pair[1])
    assert not list(tmp_path.glob("*.sqlite3*"))


def test_an_expired_certificate(tmp_path: Path, pair: Pair) -> None:
    """It is used, with a warning."""
    expired = tmp_path / "expired.pem"
    subprocess.run(
        ["openssl", "x509", "-new", "-key", pair[1], "-subj", "/CN=x", "-days", "-1", "-out", expired],
        check=True,
        capture_output=True,
    )
    with serving_tls(tmp_path, (expired, pair[1])) as running:
        assert sum("has expired" in line for line in running.lines) == 1
