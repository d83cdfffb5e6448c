"""`POST /graphql`, for pages of other sites: an ASGI route in front of Django, which would cost more than the call."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson
from django.conf import settings

from groups.mesh.callers import spend
from groups.mesh.graphql.appsync import FAILED, TOO_MANY, Document, Refused, document_of, run, run_awaiting
from groups.mesh.graphql.resolvers import TELLING_FIELDS, Roots, RootsTogether
from groups.mesh.keys import key_of
from realtime import threads
from realtime.errors import RateLimited

log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

PATH: Final = "/graphql"
_CORS: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type, x-api-key, x-amz-user-agent, x-amz-date, authorization, accept"),
    (b"access-control-max-age", b"86400"),
]
"""Of every answer: without them a page sees a network failure, and repeats its request for minutes."""
TOGETHER_BYTES: Final = 8_192
"""Of a request that is worked out on the event loop; a longer one would keep others waiting."""


class GraphQLDoor:
    """200 for everything that got as far as GraphQL; 401 without a key, 400, 405 and 413 for what is no request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await _respond(send, 204, b"")
            return
        if scope["method"] != "POST":
            await _refuse(send, 405, "MalformedHttpRequestException", "GraphQL is asked with POST.")
            return
        body = await _body(receive)
        if body is None:
            return
        if len(body) > settings.JSON_BYTES:
            told = f"The limit of a request is {settings.JSON_BYTES} bytes."
            await _refuse(send, 413, "RequestTooLarge", told)
            return
        headers = dict(scope["headers"])
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict):
            await _refuse(send, 400, "MalformedHttpRequestException", "The body must be a JSON object.")
            return
        together = len(body) <= TOGETHER_BYTES
        answer = await threads.run(_answered, secret_of(headers), address_of(scope), asked, together)
        if isinstance(answer, _Telling):
            answer = await answer.answered()
        await _respond(send, *answer)


def secret_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The key that a request brings."""
    found = headers.get(b"x-api-key") or headers.get(b"authorization", b"")
    return found.decode("latin-1").removeprefix("Bearer ").strip() or None


def address_of(scope: Scope) -> str:
    """Where a client is, as far as proxies of ours vouch for it: the rest of the header is written by anybody."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    trusted = settings.MESH_TRUSTED_PROXIES
    if trusted:
        told = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        hops = [hop.strip() for hop in b",".join(told).decode("latin-1").split(",") if hop.strip()]
        if len(hops) >= trusted:
            address = hops[-trusted]
    return address[:64]


class _Telling(NamedTuple):
    """An operation that joins those of others on the event loop."""

    document: Document
    variables: object
    roots: RootsTogether

    async def answered(self) -> tuple[int, bytes]:
        try:
            return 200, orjson.dumps(await run_awaiting(*self))
        except Exception as error:
            return _failed(error)


def _answered(secret: str | None, address: str, asked: dict[str, Any], together: bool) -> tuple[int, bytes] | _Telling:
    """The status and the body. Never a 5xx: clients would repeat their request for minutes."""
    try:
        answer = _answer(secret, address, asked, together)
        return answer if isinstance(answer, _Telling) else (answer[0], orjson.dumps(answer[1]))
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> tuple[int, bytes]:
    log.error("a GraphQL request failed", exc_info=error)
    failed = _refusal("InternalFailure", FAILED)
    return 200, orjson.dumps({"data": None, **failed})


def _answer(
    secret: str | None, address: str, asked: dict[str, Any], together: bool
) -> tuple[int, dict[str, Any]] | _Telling:
    key = key_of(secret)
    if key is None:
        return 401, _refusal("UnauthorizedException", "You are not authorized to make this call.")
    try:
        spend(key.id, address)
        document = document_of(asked.get("query"), asked.get("operationName"))
    except Refused as refused:
        return 200, {"data": None, "errors": refused.errors}
    except RateLimited:
        # Not 429: clients do not repeat it, and not 5xx: they would repeat it for minutes.
        return 200, {"data": None, **_refusal("RateLimited", TOO_MANY)}
    if document.is_subscription:
        return 200, {"data": None, **_refusal("UnsupportedOperation", "Subscriptions need a WebSocket.")}
    if together and document.asks_only(TELLING_FIELDS):
        return _Telling(document, asked.get("variables"), RootsTogether(key, address))
    return 200, run(document, asked.get("variables"), Roots(key, address))


def _refusal(kind: str, message: str) -> dict[str, Any]:
    return {"errors": [{"errorType": kind, "message": message}]}


async def _refuse(send: Send, status: int, kind: str, message: str) -> None:
    await _respond(send, status, orjson.dumps(_refusal(kind, message)))


async def _body(receive: Receive) -> bytes | None:
    """The body, a little more than the limit at most; None when the client went away."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size <= settings.JSON_BYTES + len(part):
            parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _respond(send: Send, status: int, body: bytes) -> None:
    headers = [*_CORS, (b"cache-control", b"no-store"), (b"content-length", b"%d" % len(body))]
    if body:
        headers.append((b"content-type", b"application/json"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
