"""Default values of new users and domains, in JSON form."""

from typing import Any, Final

from postroom.schemas.values.users import FLAGS

#: `{"user": {field: value}, "domain": {field: value}}`; a user may also have `"properties": {name: value}`.
Defaults = dict[str, dict[str, Any]]

NONE: Final[Defaults] = {"user": {}, "domain": {}}

_ON = ("privWeb", "privEas", "privDav")
#: The defaults in the table of users itself.
BUILT_IN: Final[Defaults] = {"user": {"lang": "", **{name: name in _ON for name in FLAGS}}, "domain": {}}
