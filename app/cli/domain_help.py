"""The help of the commands `postroom domain ...`."""

from postroom.app.cli.codes import CODES, EACH

GROUP = """Create, show, change and delete mail domains.

\b
Examples:
  postroom domain list
  postroom domain create example.org --max-users 100
  postroom domain set example.org --org "Example Ltd"
"""

LIST = f"""List domains.

\b
Examples:
  postroom domain list
  postroom domain list --match example --json | jq -r '.data[].domainname'
{CODES}"""

SHOW = f"""Show everything about a domain.

\b
Examples:
  postroom domain show example.org
{CODES}"""

CREATE = f"""Create a domain. With --role, also a role whose holders administer it.

\b
Examples:
  postroom domain create example.org --max-users 100
  postroom domain create example.com --max-users 10 --org "Example Ltd" --role
{CODES}"""

SET = f"""Change domains: only what is given. Suspending one ends the logins of its users.

\b
Examples:
  postroom domain set example.org --max-users 200 --title "Example"
  postroom domain set example.org example.com --org "Example Ltd"
  postroom domain set example.org --org ""
  postroom domain set example.org --status suspended
  postroom domain set example.org --self-service oof,devices,forward
{EACH}"""

DELETE = f"""Mark domains as deleted: nobody of them logs in any more, and `restore` brings them back.

With --purge, they and everything in them are removed for good.

\b
Examples:
  postroom domain delete example.org
  postroom domain delete example.org --purge --yes
{EACH}"""

RESTORE = f"""Bring back domains that are marked as deleted, and their users.

\b
Examples:
  postroom domain restore example.org
{EACH}"""
