"""The options of `postroom user create` and `postroom user set`, and the bodies of requests that they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer

from postroom.schemas.values.users import FLAGS

Name = Annotated[str | None, typer.Option("--name", help="The name that people see (displayname).")]
Lang = Annotated[str | None, typer.Option("--lang", metavar="LANG", help="Language, such as de_DE.")]
Quota = Annotated[str | None, typer.Option("--quota", metavar="SIZE", help='Storage, such as 10G; "": none.')]
Allow = Annotated[list[str] | None, typer.Option("--allow", metavar="WHAT", help=f"{', '.join(FLAGS)}.")]
Deny = Annotated[list[str] | None, typer.Option("--deny", metavar="WHAT", help="The same, to take it away.")]
Property = Annotated[
    list[str] | None,
    typer.Option("--property", metavar="NAME=VALUE", help="A property, such as title=Manager; NAME= removes it."),
]
Forward = Annotated[
    str | None, typer.Option("--forward", metavar="ADDRESS", help='Send all mail on to there; "": no more.')
]
Copy = Annotated[str | None, typer.Option("--copy-to", metavar="ADDRESS", help="Keep the mail, and send a copy.")]

_QUOTA: Final = "storagequotalimit"
#: How mail is forwarded, in the API.
_COPY, _REDIRECT = 0, 1
_YES: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


class FieldError(ValueError):
    """An option has no value that makes sense."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The options as they were given."""

    name: str | None = None
    lang: str | None = None
    quota: str | None = None
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    properties: Sequence[str] = ()
    forward: str | None = None
    copy_to: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The fields of the API. Raises FieldError."""
        body: dict[str, Any] = dict(self.more)
        if self.lang is not None:
            body["lang"] = self.lang
        for names, value in ((self.allow, True), (self.deny, False)):
            for name in names:
                body[_flag(name)] = value
        if self.forward is not None and self.copy_to is not None:
            raise FieldError("Give --forward or --copy-to, not both")
        if self.forward is not None or self.copy_to is not None:
            kind, to = (_REDIRECT, self.forward) if self.forward is not None else (_COPY, self.copy_to)
            body["forward"] = {"forwardType": kind, "destination": to} if to else None
        properties = dict(map(_property, self.properties))
        if self.name is not None:
            properties["displayname"] = self.name or None
        if self.quota is not None:
            properties[_QUOTA] = self.quota or None
        if properties:
            body["properties"] = properties
        return body


def _flag(name: str) -> str:
    for flag in FLAGS:
        if name.lower() == flag.lower():
            return flag
    raise FieldError(f"There is nothing to allow that is called {name!r}; there are {', '.join(FLAGS)}")


def _property(text: str) -> tuple[str, Any]:
    """`title=Manager` -> the property and its value in the type of the API, which says what is wrong with it."""
    from postroom.schemas.values.proptags import Kind, find

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise FieldError(f"Not of the form NAME=VALUE: {text!r}")
    proptag = find(name)
    if proptag is None:
        raise FieldError(f"There is no property {name!r}")
    if not value:
        return name, None

    def typed(one: str) -> Any:
        if proptag.kind is Kind.BOOLEAN:
            return _YES.get(one.lower(), one)
        is_number = proptag.kind is Kind.INTEGER and one.removeprefix("-").isdecimal()
        return int(one) if is_number and len(one) < 20 else one

    return name, [typed(one) for one in value.split(",")] if proptag.multi else typed(value)
