"""Plugins of the webmail, by name."""

from marshmallow import validate

from postroom.schemas.fields import Input, Listed, Text


class PluginNamesSchema(Input):
    """The body of PUT disabledPlugins: a bare array of names."""

    #: The array itself has no name; it loads as this field.
    bare_list = "names"

    names = Listed(Text(64, validate=validate.Length(min=1)), required=True, validate=validate.Length(max=100))
