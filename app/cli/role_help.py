"""The help of the commands `postroom role ...`."""

from postroom.app.cli.codes import CODES, EACH

GROUP = """Create, show, change and delete roles, and give them to users.

\b
Examples:
  postroom role create "Front office" --permission DomainAdmin:example.org
  postroom role add "Front office" anna@example.org
  postroom role show "Front office"
"""

LIST = f"""List roles.

\b
Examples:
  postroom role list
  postroom role list --json | jq '.data[].name'
{CODES}"""

SHOW = f"""Show what the holders of a role may do, and who they are.

\b
Examples:
  postroom role show "Front office"
{CODES}"""

CREATE = f"""Create a role.

A PERMISSION is one of SystemAdmin, SystemAdminRO, OrgAdmin, DomainAdmin, DomainAdminRO, DomainPurge and ResetPasswd.
Where it applies stands behind a colon: a domain by name or ID, an organisation by name or ID, or "*" for all.

\b
Examples:
  postroom role create "Front office" --permission DomainAdmin:example.org --permission ResetPasswd
  postroom role create "Resellers" --permission "OrgAdmin:Example Ltd"
{CODES}"""

SET = f"""Change a role: only what is given. Permissions are replaced as a whole, at once for all holders.

\b
Examples:
  postroom role set "Front office" --name "Office" --description "Who answers the phone"
  postroom role set "Front office" --permission DomainAdminRO:example.org
{CODES}"""

DELETE = f"""Delete roles. Their holders lose the permissions at once.

\b
Examples:
  postroom role delete "Front office"
{EACH}"""

ADD = f"""Give a role to users.

\b
Examples:
  postroom role add "Front office" anna@example.org paul@example.org
{EACH}"""

REMOVE = f"""Take a role away from users, at once.

\b
Examples:
  postroom role remove "Front office" anna@example.org
{EACH}"""
