"""Calls without I/O: how their answers read, which of them are repeated and when."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from meshsite_client.errors import CallError
from meshsite_client.items import Json

SEND_ATTEMPTS: Final = 8
"""Over about a minute on average: a server that restarts is back by then."""


def backoff(attempt: int, *, first_seconds: float, last_seconds: float, random: Callable[[], float]) -> float:
    """Full jitter: anything from nothing to a ceiling that doubles, so that clients do not return all at once."""
    return random() * min(last_seconds, first_seconds * 2.0 ** min(attempt, 30))


def message_params(channel_id: int, body: str, client_msg_id: str | None, thread_root_id: int | None) -> Json:
    """Of `message.send`. Always with a `client_msg_id`, by which sending again sends once."""
    params: Json = {"channel_id": channel_id, "body": body}
    params["client_msg_id"] = client_msg_id or f"py_{secrets.token_urlsafe(16)}"
    if thread_root_id is not None:
        params["thread_root_id"] = thread_root_id
    return params


def message_in(answer: Json) -> Json:
    message: Json = answer["message"]
    return message


def retry_waits(random: Callable[[], float]) -> Iterator[float]:
    """Seconds before each repetition of a call that was lost."""
    for attempt in range(SEND_ATTEMPTS - 1):
        yield backoff(attempt, first_seconds=1, last_seconds=30, random=random)


def parsed_object(raw: bytes | str) -> Json | None:
    """A JSON object, None for anything else."""
    try:
        parsed = json.loads(raw)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def answer_of(status: int, body: bytes) -> Json:
    """The answer to a call over HTTP. Raises CallError."""
    answer = parsed_object(body)
    if status == 200 and answer is not None:
        return answer
    fallback = "bad_answer" if status == 200 else f"http_{status}"
    raise error_of({"status": status, "code": fallback} | (answer or {}))


def error_of(told: Mapping[str, Any]) -> CallError:
    """The error in a problem (RFC 9457) or in an `error` frame."""
    return CallError(
        str(told.get("code", "error")),
        status=int(told.get("status", 0)),
        detail=str(told.get("detail") or told.get("title") or ""),
        errors=told.get("errors"),
        retry_after=told.get("retry_after"),
    )
