"""A throw-away OpenLDAP server with a dozen people, until Ctrl+C: `python -m tests.directory [PORT]`."""

import signal
import sys
import threading

from tests.support.slapd import Slapd, SlapdError, people_ldif


def main() -> None:
    """Runs the server and shows how to query it."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with Slapd(port=int(sys.argv[1]) if len(sys.argv) > 1 else 3890) as server:
            server.add(people_ldif(12))
            print(f"A directory with a dozen people is at {server.url}, base DN {server.people_dn}.")
            print(f"Bind as {server.bind_dn} with the password {server.bind_password}. Stop with Ctrl+C.", flush=True)
            stop.wait()
    except SlapdError as error:
        sys.exit(f"directory: {error}")


if __name__ == "__main__":
    main()
