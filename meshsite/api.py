"""DRF's part, shared by every method: credentials, strict JSON, problem+json, one view per method."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.defaults import bad_request as page_of_bad_request
from django.views.defaults import server_error
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from groups.mesh.callers import caller_of_key
from groups.mesh.graphql.http import address_of
from groups.models import User
from meshsite.credentials import caller_of_session, caller_of_token
from meshsite.other_origins import open_to_other_origins
from meshsite.schemas import json_schema
from realtime import commands
from realtime.commands import Caller, Method
from realtime.errors import Problem, TooLarge, UnknownMethod, problem_of

log = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`. It stands first, so that a call without credentials is 401 and not 403."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        kind, _space, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if kind.lower() != "bearer":
            return None
        caller = caller_of_token(secret.strip())
        if caller is None:
            raise AuthenticationFailed(_("This token is unknown, expired or revoked."))
        assert isinstance(caller.user, User)
        return caller.user, caller

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # drf-spectacular is untyped here
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class KeyAuthentication(BaseAuthentication):
    """`x-api-key: <key>` of classrooms, where a method takes it."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        secret = request.headers.get("x-api-key", "").strip()
        if not secret:
            return None
        caller = caller_of_key(secret, _address_of(request))
        if caller is None:
            raise AuthenticationFailed(_("This key is unknown or revoked."))
        return AnonymousUser(), caller


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # drf-spectacular is untyped here
    target_class = KeyAuthentication
    name = "key"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "x-api-key"}


class IsSomebody(BasePermission):
    """Credentials were given and hold, of an account or of a key."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Caller) or request.user.is_authenticated


class StrictJSONParser(BaseParser):
    """JSON of at most JSON_BYTES. Refuses broken UTF-8, lone surrogates, NaN and nesting without end."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        raw = stream.read(settings.JSON_BYTES + 1)
        if len(raw) > settings.JSON_BYTES:
            raise TooLarge(settings.JSON_BYTES)
        if not raw.strip():
            return {}
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ParseError(_("This is not JSON: %s") % error) from None


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return orjson.dumps(data)


def problem_json(problem: Problem) -> dict[str, Any]:
    """RFC 9457, with our `code`, `errors` and `retry_after`."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
    if problem.errors:
        body["errors"] = problem.errors
    if problem.retry_after is not None:
        body["retry_after"] = problem.retry_after
    return body


def problem_response(error: Exception, context: Mapping[str, Any]) -> JsonResponse | None:
    """DRF's exception handler. The same JSON whatever renderer the view or the client would have chosen."""
    problem = problem_of(error)
    if problem is None:
        return None
    set_rollback()
    response = _response(problem)
    if problem.retry_after is not None:
        response["Retry-After"] = str(max(1, round(problem.retry_after)))
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    return response


@csrf_exempt
def unknown_method(request: HttpRequest) -> JsonResponse:
    problem = problem_of(UnknownMethod(request.path))
    assert problem is not None
    return _response(problem)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django refuses before any view, such as a foreign Host."""
    if not request.path.startswith("/api/"):
        return page_of_bad_request(request, exception)
    return _response(Problem(400, "bad_request", _("Bad request")))


def internal_error(request: HttpRequest) -> HttpResponse:
    """What is told of a bug: to programs a problem, to people a page; never a traceback or a query."""
    if not request.path.startswith("/api/"):
        return server_error(request)
    return _response(Problem(500, "internal_error", _("Internal error"), _("The error was logged. Try again later.")))


def _response(problem: Problem) -> JsonResponse:
    return JsonResponse(problem_json(problem), status=problem.status, content_type=PROBLEM_TYPE)


def urls_of(methods: Mapping[str, Method]) -> list[URLPattern]:
    """`/api/<noun>.<verb>` for every method."""
    return [path(method.name, _view_of(method)) for method in methods.values()]


def _view_of(method: Method) -> Any:
    schema: dict[str, Any] = {
        "operation_id": method.name,
        "summary": method.summary.partition("\n")[0],
        "description": method.summary,
        "tags": [method.name.partition(".")[0]],
        "responses": {
            200: json_schema(method.answer),
            ("4XX", PROBLEM_TYPE): _PROBLEM_SCHEMA,
        },
    }

    with_key = "mesh" in method.scopes
    by_key = (KeyAuthentication,) if with_key else ()

    class View(APIView):
        authentication_classes = (BearerAuthentication, *by_key, SessionAuthentication)
        permission_classes = (IsSomebody,)
        parser_classes = (StrictJSONParser,)
        renderer_classes = (JSONRenderer,)

        def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
            # A body in chunks tells no length, and DRF would take it for none. The parser bounds what is read.
            if "Transfer-Encoding" in request.headers:
                request.META.setdefault("CONTENT_LENGTH", str(settings.JSON_BYTES))
            return super().initialize_request(request, *args, **kwargs)

        @extend_schema(**schema, request=method.params)
        def post(self, request: Request) -> Response:
            return self._answer(request, request.data, query=False)

        def _answer(self, request: Request, params: Any, *, query: bool) -> Response:
            return Response(commands.call(_caller_of(request), method.name, params, query=query))

    def served(view: type[View]) -> Any:
        return open_to_other_origins(view.as_view()) if with_key else view.as_view()

    if not method.reads:
        return served(View)

    schema["operation_id"] = f"{method.name}.get"
    parameters = [method.params] if method.params().fields else []

    class ReadView(View):
        @extend_schema(**schema, parameters=parameters)
        def get(self, request: Request) -> Response:
            # A list may come as ?user_ids=3&user_ids=7; what is no list must not come twice.
            params = {name: ",".join(values) for name, values in request.query_params.lists()}
            return self._answer(request, params, query=True)

    return served(ReadView)


def _caller_of(request: Request) -> Caller:
    if isinstance(request.auth, Caller):
        caller = request.auth
    else:
        assert isinstance(request.user, User)
        caller = caller_of_session(request.user, request.session.session_key or "")
    return replace(caller, address=_address_of(request))


def _address_of(request: Request) -> str:
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").encode("latin-1", "replace")
    return address_of({"client": (request.META["REMOTE_ADDR"], 0), "headers": [(b"x-forwarded-for", forwarded)]})


_PROBLEM_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "retry_after": {"type": "number"},
    },
    "required": ["type", "title", "status", "code"],
}
