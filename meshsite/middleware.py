from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
DOCS_POLICY = f"{POLICY}; style-src 'self' 'unsafe-inline'"
"""Swagger UI, which shows /api/docs/, sets styles on its elements."""


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Scripts, styles and connections only from this server: what slipped through the cleaning could not run."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        docs = request.path == "/api/docs/"
        response.headers.setdefault("Content-Security-Policy", DOCS_POLICY if docs else POLICY)
        return response

    return respond
