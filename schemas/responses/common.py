"""Responses that several operations share: successes, failures, references by ID and name."""

from marshmallow import fields, validate

from postroom.schemas.fields import ADDITION, Input, Int


class MessageSchema(Input):
    """A success without data."""

    message = fields.String(required=True)


class ErrorSchema(Input):
    """A failure: `message` says what happened; `errors` lists several reasons, each as "field: reason"."""

    message = fields.String(required=True)
    errors = fields.List(fields.String())


class UnauthenticatedSchema(Input):
    """Nobody is logged in, or the login failed."""

    message = fields.String(required=True)
    error = fields.String(required=True)


class InternalErrorSchema(Input):
    """An error that is not the caller's fault. The log has the details under the request ID."""

    message = fields.String(required=True)
    requestID = fields.String()


class UserRefSchema(Input):
    """A user by ID and name."""

    ID = Int(required=True)
    username = fields.String(required=True)


class HomeserverRefSchema(Input):
    """A server by ID and name."""

    ID = Int()
    hostname = fields.String()


class RoleRefSchema(Input):
    """A role by ID and name."""

    ID = Int(required=True)
    name = fields.String(required=True)


class EmptyListSchema(Input):
    """An empty list, because postroom does not support these objects."""

    count = Int(required=True, validate=validate.Equal(0), metadata=ADDITION)
    data = fields.List(fields.Dict(), required=True, validate=validate.Length(max=0))
