"""The help of the commands `postroom user ...`."""

from postroom.app.cli.codes import CODES, EACH

GROUP = """Create, show, change and delete users.

\b
Examples:
  postroom user list example.org
  postroom user create anna@example.org --name "Anna Schmidt"
  postroom user suspend anna@example.org paul@example.org
  postroom user passwd anna@example.org
"""

LIST = f"""List users, of some domains or of all.

\b
Examples:
  postroom user list
  postroom user list example.org --status suspended
  postroom user list --match schmidt --limit 1000
  postroom user list --json | jq -r '.data[].username'
{CODES}"""

SHOW = f"""Show everything about a user.

\b
Examples:
  postroom user show anna@example.org
  postroom user show anna@example.org --json | jq .data.properties
{CODES}"""

CREATE = f"""Create a user, who needs a password, or a shared mailbox or contact, who need none.

\b
Examples:
  postroom user create anna@example.org --name "Anna Schmidt" --quota 10G
  postroom user create paul@example.org --password-stdin <password.txt
  postroom user create info@example.org --shared --allow smtp
  postroom user create partner@example.net --contact-in example.org --name "A partner"
{CODES}"""

SET = f"""Change users: only what is given.

\b
Examples:
  postroom user set anna@example.org --name "Anna Huber" --lang de_DE
  postroom user set anna@example.org paul@example.org --deny pop3_imap
  postroom user set anna@example.org --property title=Manager --property comment=
  postroom user set anna@example.org --copy-to archive@example.org
{EACH}"""

RENAME = f"""Give a user another username in the same domain. The old address is free at once.

\b
Examples:
  postroom user rename anna@example.org anna.schmidt@example.org
{CODES}"""

SUSPEND = f"""Suspend users: they cannot log in any more, and their logins end at once.

\b
Examples:
  postroom user suspend anna@example.org
  postroom user suspend - <leavers.txt
{EACH}"""

ACTIVATE = f"""Let suspended users log in again.

\b
Examples:
  postroom user activate anna@example.org paul@example.org
{EACH}"""

PASSWD = f"""Set the password of a user. All their logins end.

\b
Examples:
  postroom user passwd anna@example.org
  pwgen 20 1 | postroom user passwd anna@example.org --password-stdin
  postroom user passwd admin
{CODES}"""

DELETE = f"""Delete users, everything that belongs to them, and all access that was granted to them.

\b
Examples:
  postroom user delete anna@example.org
  postroom user delete --yes - <leavers.txt
{EACH}"""
