from collections.abc import Callable
from contextlib import ExitStack
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

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


def own_language_and_time_zone(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Who is signed in reads pages in the language and the time of their profile, on whichever machine."""

    def respond(request: HttpRequest) -> HttpResponse:
        # Nobody is asked for who comes without a cookie, as programs and the requests for pictures do.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return get_response(request)
        with ExitStack() as meanwhile:
            if request.user.time_zone:
                meanwhile.enter_context(timezone.override(ZoneInfo(request.user.time_zone)))
            if not request.user.language:
                return get_response(request)
            meanwhile.enter_context(translation.override(request.user.language))
            request.LANGUAGE_CODE = request.user.language
            response = get_response(request)
            # Else LocaleMiddleware says that of the browser.
            response.headers.setdefault("Content-Language", request.user.language)
            return response

    return respond
