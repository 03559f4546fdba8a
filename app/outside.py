"""The routes that are no part of the API, and the names under which the metrics count all routes."""

from typing import Final

from postroom.app.config import Config
from postroom.app.handlers import docs, monitoring, page
from postroom.app.metrics.catalogue import Metrics
from postroom.app.routes import ROUTES
from postroom.app.web.authorship import operation_of
from postroom.app.web.routing import Route, public

#: The page with the API description. The OpenAPI document leaves it out.
DOCS: Final = [
    Route("GET", "/docs", docs.get_page, public),
    Route("GET", "/docs/start.js", docs.get_start, public),
    Route("GET", "/docs/static/{name}", docs.get_file, public),
]

#: The page for people, unless it is turned off.
PAGE: Final = [
    Route("GET", "/", page.get_page, public),
    Route("GET", "/page/{name}", page.get_file, public),
]

#: For programs that watch the service.
PROBES: Final = [
    Route("GET", "/healthz", monitoring.get_healthz, public),
    Route("GET", "/readyz", monitoring.get_readyz, public),
]
#: The handler checks the address.
METRICS_PAGE: Final = Route("GET", "/metrics", monitoring.get_metrics, public)

#: Routes that are asked all the time, and so are not in the access log.
PROBED: Final = frozenset({"healthz", "readyz", "metrics"})
#: What is counted together, whatever its path.
OPTIONS, OTHER_METHOD, UNKNOWN = "options", "other-method", "unknown"


def operation_name(route: Route) -> str:
    """The ID of the operation; of what is no part of the API, the first part of its path."""
    return operation_of(route.handler) or route.path.split("/")[1] or "page"


def make_metrics(config: Config) -> Metrics:
    """The metrics of a service. Its workers share them, so they are made before these are forked."""
    names = map(operation_name, [*ROUTES, *DOCS, *PAGE, *PROBES, METRICS_PAGE])
    return Metrics(tuple(dict.fromkeys([*names, OPTIONS, OTHER_METHOD, UNKNOWN])), config.workers)
