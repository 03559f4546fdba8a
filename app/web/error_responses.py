"""Turns errors into responses: all have one shape, and none reveals internals."""

import asyncio
import logging
from typing import Any, Final

import orjson
from aiohttp import web

from postroom.app.errors import (
    BusyError,
    CutOffError,
    HungUpError,
    InvalidError,
    OverdueError,
    PostroomError,
    UnauthenticatedError,
    UnavailableError,
)
from postroom.app.limits.sparing import Sparing
from postroom.app.logs import REQUEST_ID
from postroom.app.web.keys import OVERDUE
from postroom.app.web.responses import json_response
from postroom.schemas.values.text import printable
from postroom.storage.faults import (
    CrowdedError,
    IntegrityError,
    LargeAnswerError,
    LostDatabaseError,
    SearchError,
    UncertainError,
    is_unavailable,
    primary_code,
)
from postroom.storage.integrity import rule_of

#: Keeps repeated database errors out of the log.
SPARING: Final = web.AppKey("sparing", Sparing)

log = logging.getLogger("postroom")
request_log = logging.getLogger("postroom.requests")


def shown_path(request: web.BaseRequest) -> str:
    """The path for responses and logs: percent-encoded, so it is one line, and at most 200 characters."""
    # The target of CONNECT has no path.
    return request.rel_url.raw_path[:200] or "/"


def failure(request: web.BaseRequest, error: Exception | asyncio.CancelledError) -> web.Response:
    """The response for an error that a handler raised. Logs an error of the service under the request ID.

    Raises ConnectionResetError when the client has disconnected: then the connection ends quietly. Raises `error` again
    when it is a cancellation that needs no response.
    """
    if isinstance(error, asyncio.CancelledError):
        return _given_up(request, error)
    if isinstance(error, (CutOffError, HungUpError)):
        request_log.info("%s %s: the client has hung up", request.method, shown_path(request))
        raise ConnectionResetError from None
    if isinstance(error, PostroomError):
        return _known_failure(error)
    if isinstance(error, web.HTTPException):
        return _http_failure(request, error)
    if isinstance(error, IntegrityError):
        # The text names tables and columns, but no values.
        log.warning("%s %s broke a rule that only the database checks: %s", request.method, shown_path(request), error)
        return _known_failure(_broken_rule(error))
    if isinstance(error, SearchError):
        return _known_failure(_of_search(error))
    if isinstance(error, LostDatabaseError):
        # Already logged, once for all requests.
        return _known_failure(UnavailableError(str(error)))
    request_id = REQUEST_ID.get()
    if is_unavailable(error):
        return _unavailable(request, error, request_id)
    # The body and the headers may hold a password, so only the path and the traceback are logged.
    log.error("Request %s, %s %s failed", request_id, request.method, shown_path(request), exc_info=error)
    return json_response({"message": "An internal error has happened; the log has more under the request ID",
                        "requestID": request_id}, 500)  # fmt: skip


def failure_document(request: web.BaseRequest, error: Exception) -> dict[str, Any]:
    """The same as a part of a response: its status and its body."""
    response = failure(request, error)
    return {"status": response.status, **orjson.loads(response.body)}  # type: ignore[arg-type]


def _given_up(request: web.BaseRequest, error: asyncio.CancelledError) -> web.Response:
    task = asyncio.current_task()
    if OVERDUE in request and task is not None:
        task.uncancel()
        return failure(request, OverdueError("This took too long and was cancelled; it may still have been done"))
    if not request.content.is_eof():
        # The connection ended before the request was complete.
        return failure(request, CutOffError())
    raise error


def _broken_rule(error: IntegrityError) -> InvalidError:
    field, reason = rule_of(error)
    return InvalidError.field(field, reason) if field else InvalidError(reason)


def _known_failure(error: PostroomError) -> web.Response:
    # Messages may quote what the client has sent.
    document: dict[str, object] = {"message": printable(error.message)}
    if isinstance(error, UnauthenticatedError):
        document["error"] = printable("; ".join(error.errors))
    elif error.errors:
        document["errors"] = [printable(reason) for reason in error.errors]
    response = json_response(document, error.status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _of_search(error: SearchError) -> PostroomError:
    if isinstance(error, LargeAnswerError):
        return InvalidError(str(error))
    # No Retry-After for a search that was too slow: a retry would be too slow again.
    return BusyError(str(error)) if isinstance(error, CrowdedError) else UnavailableError(str(error))


def _unavailable(request: web.BaseRequest, error: Exception, request_id: str) -> web.Response:
    unavailable = UnavailableError(
        "The database failed while it stored this; look whether it has, before you try again"
        if isinstance(error, UncertainError)
        else "The database cannot be used at the moment; try again later"
    )
    kind = primary_code(error.__cause__ or error) or type(error)
    since = request.app[SPARING].due(kind) if isinstance(request, web.Request) else 0
    if since is None:
        return _known_failure(unavailable)
    more = f" (happened {since} more times since the last such line)" if since else ""
    log.error(
        "Request %s, %s %s: the database failed: %s%s", request_id, request.method, shown_path(request), error, more
    )
    return _with_id(request_id, unavailable)


def _with_id(request_id: str, error: PostroomError) -> web.Response:
    return json_response({"message": error.message, "requestID": request_id}, error.status)


def _http_failure(request: web.BaseRequest, error: web.HTTPException) -> web.Response:
    path = shown_path(request)
    text = {
        404: f"There is nothing at {path}",
        405: f"{request.method} is not possible at {path}",
        413: "The body is larger than 1 MiB",
        417: "The header Expect has a value that is not supported",
    }.get(error.status, error.reason)
    response = json_response({"message": text}, error.status)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return response
