"""Accounts on other servers whose mail is fetched for a user."""

from collections.abc import Mapping, Sequence

from postroom.schemas.values.text import fold
from postroom.storage.engine import Connection
from postroom.storage.keyring import UnreadableSecretError
from postroom.storage.sealed import FORGOTTEN, place_of, seal, unseal

#: Name in the API -> column. The storage itself sets `ID` and `date`.
COLUMNS = {
    "mailbox": "mailbox",
    "active": "active",
    "srcServer": "src_server",
    "srcAuth": "src_auth",
    "srcUser": "src_user",
    "srcPassword": "src_password",
    "srcFolder": "src_folder",
    "fetchall": "fetchall",
    "keep": "keep",
    "protocol": "protocol",
    "useSSL": "use_ssl",
    "sslCertCheck": "ssl_cert_check",
    "sslCertPath": "ssl_cert_path",
    "sslFingerprint": "ssl_fingerprint",
    "extraOptions": "extra_options",
}


def list_fetchmail(connection: Connection, user_id: int) -> dict[int, dict[str, object]]:
    """Entries by ID, with fields named as in the API. A password that cannot be decrypted is left out."""
    rows = connection.execute(
        f"SELECT id, date, {', '.join(COLUMNS.values())} FROM fetchmail WHERE user_id = ?", (user_id,)
    )
    entries = {row[0]: {"date": row[1], **dict(zip(COLUMNS, row[2:], strict=True))} for row in rows}
    for entry_id, entry in entries.items():
        try:
            entry["srcPassword"] = unseal(connection, _place(entry_id), str(entry["srcPassword"]))
        except UnreadableSecretError:
            del entry["srcPassword"]
    return entries


def insert_fetchmail(connection: Connection, user_id: int, entry: Mapping[str, object], date: str) -> None:
    """Adds an entry, which has to contain all fields of COLUMNS."""
    # The encrypted password is bound to the entry's ID, which is known only after the insert.
    (entry_id,) = connection.execute(
        f"""
        INSERT INTO fetchmail (user_id, date, {", ".join(COLUMNS.values())})
        VALUES (?, ?, {", ".join("?" * len(COLUMNS))})
        RETURNING id
        """,
        (user_id, date, *({**entry, "srcPassword": FORGOTTEN}[name] for name in COLUMNS)),
    ).fetchone()
    sealed = seal(connection, _place(entry_id), str(entry["srcPassword"]))
    connection.execute("UPDATE fetchmail SET src_password = ? WHERE id = ?", (sealed, entry_id))


def update_fetchmail(connection: Connection, entry_id: int, entry: Mapping[str, object], date: str) -> None:
    """Sets all fields of one entry. Without a password in `entry`, the stored one is deleted."""
    password = entry.get("srcPassword")
    sealed = FORGOTTEN if password is None else seal(connection, _place(entry_id), str(password))
    connection.execute(
        f"UPDATE fetchmail SET date = ?, {', '.join(f'{column} = ?' for column in COLUMNS.values())} WHERE id = ?",
        (date, *({**entry, "srcPassword": sealed}[name] for name in COLUMNS), entry_id),
    )


def _place(entry_id: int) -> str:
    return place_of("fetchmail", "src_password", entry_id)


def delete_fetchmail(connection: Connection, entry_ids: Sequence[int]) -> None:
    """Removes entries by ID."""
    connection.executemany("DELETE FROM fetchmail WHERE id = ?", [(entry_id,) for entry_id in entry_ids])


def move_mailboxes(connection: Connection, user_id: int, keys: Sequence[str], address: str) -> None:
    """Makes a user's entries for one of these addresses (`keys`, folded) deliver to `address` instead."""
    stored = connection.execute("SELECT id, mailbox FROM fetchmail WHERE user_id = ?", (user_id,)).fetchall()
    connection.executemany(
        "UPDATE fetchmail SET mailbox = ? WHERE id = ?",
        [(address, entry_id) for entry_id, mailbox in stored if fold(mailbox) in keys],
    )
