"""What new users and domains get when nobody says otherwise, as JSON has it."""

from typing import Any, Final

from postroom.schemas.values.users import FLAGS

#: `{"user": {field: value}, "domain": {field: value}}`; of a user also `"properties": {name: value}`.
Defaults = dict[str, dict[str, Any]]

NONE: Final[Defaults] = {"user": {}, "domain": {}}

_ON = ("privWeb", "privEas", "privDav")
#: What the table of users itself gives a new user.
BUILT_IN: Final[Defaults] = {"user": {"lang": "", **{name: name in _ON for name in FLAGS}}, "domain": {}}
