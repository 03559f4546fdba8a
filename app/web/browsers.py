"""What browsers have to know of the pages that this service has for people."""

from types import MappingProxyType
from typing import Final

#: Everything comes from this service, and no page has an inline script or style. Swagger UI's style sheet has images as
#: data: URLs. People log in on these pages, so no other page may put one into a frame.
PAGE_HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        # A newer postroom may need a newer page. The large parts are static files, which browsers may cache.
        "Cache-Control": "no-cache",
    }
)
