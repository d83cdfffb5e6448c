"""Exception -> stable code, and the close codes with what a client does on each. docs/protocol.md lists both."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, PermissionDenied, ValidationError
from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException, ErrorDetail
from rest_framework.exceptions import ValidationError as InvalidParams

CODES = {
    "bad_frame": "The frame is not an object of the form that its type asks for.",
    "bad_image": "The picture is broken, too large, or no PNG, JPEG or WebP.",
    "bad_json": "The frame is not JSON.",
    "bad_request": "The body is not JSON, or the request is broken.",
    "bad_resume_token": "It is forged, of another session, or its session ended or went on elsewhere.",
    "bad_wait": "`wait` is not a number of seconds.",
    "channel_archived": "The channel is archived; nothing is written there any more.",
    "check_again": "The password changed. Come back; a sign-in that it ended is refused then.",
    "conversion_refused": "A private channel stays private: what is in it was written in confidence.",
    "deactivated": "The account was deactivated.",
    "direct_channel": "The members of a direct channel are fixed.",
    "domain_taken": "Another workspace looks after the classroom domain.",
    "forbidden": "You may see it, but not do this with it.",
    "hole": "The session lost its place. Come back with your cursor.",
    "idempotency_conflict": "The client_msg_id was used for another message.",
    "internal_error": "A bug. It was logged; nothing was changed.",
    "invalid": "Parameters are missing, unknown or wrong; `errors` names them.",
    "invite_unusable": "The invite is used up, expired or revoked.",
    "last_owner": "Nobody else could manage the workspace then. Make somebody else an owner first.",
    "mention_unconfirmed": "@channel or @here would tell many people; the text says how many. Send `confirm_mentions`.",
    "mesh_group_full": "The group holds as many nodes, or is followed by as many, as a group may have.",
    "mesh_group_not_found": "There is no such group in this domain, or it is over.",
    "mesh_node_not_found": "The node is not in the group. Join again.",
    "method_not_allowed": "A method that changes something needs POST; the long-poll needs GET.",
    "name_taken": "There is a channel of this name in the workspace.",
    "new_epoch": "The streams began anew. Come back; you are told what you missed.",
    "no_pong": "No frame came in time after a ping. Come back with your cursor.",
    "nobody_there": "Nobody else is left in the direct channel: they went, or their accounts ended.",
    "not_a_member": "The channel is public, but you have to join it first.",
    "not_acceptable": "The answer is JSON, which the Accept header refuses.",
    "not_found": "It does not exist, or you may not see it.",
    "not_signed_in": "Credentials are missing, wrong, expired or revoked.",
    "not_the_host": "Only who made the group, with the same credentials and its host's id, may do this.",
    "not_your_stream": "The path names another user, or nothing.",
    "origin_not_allowed": "A page of another site used your cookie.",
    "rate_limited": "Too many calls; `retry_after` is in seconds.",
    "replaced": "Another connection took over this session.",
    "restart": "The server restarts. Come back with your cursor.",
    "scope_missing": "Reading a stream needs a token with the scope `read`.",
    "session_connected": "A resume token alone does not take over a session that is connected. Come back in a moment.",
    "silenced": "A moderator lets you only read in the workspace for a time; the text says until when.",
    "signed_out": "The sign-in ended, or the token was revoked.",
    "thread_full": "The thread has as many followers as a thread can have.",
    "too_large": "The body or frame is above its limit.",
    "too_many_invites": "The workspace has too many open invites. Revoke some first.",
    "too_many_keys": "The workspace has too many classroom keys. Revoke some first.",
    "too_many_mentions": "A message names at most 50 people.",
    "too_many_pins": "The channel has 100 pinned messages; take one off first.",
    "too_many_reactions": "The message has 50 different emoji, or 5,000 reactions in all.",
    "too_many_sessions": "The user has SESSIONS_PER_USER sessions already.",
    "too_slow": "More frames waited than OUTBOX_FRAMES or OUTBOX_BYTES. Come back with your cursor.",
    "unavailable": "A store does not answer. Come back in a moment.",
    "unknown_emoji": "It is not one emoji of Unicode's recommended ones.",
    "unknown_method": "There is no method of this name.",
    "unknown_type": "There is no frame of this type.",
    "unsupported_media_type": "The body has to be application/json.",
}
"""Every code that a client can meet, with what it means. Codes are stable: one may come, none changes its meaning."""


def known(code: str) -> str:
    """The code, which is one of CODES: what is not in the table is in no client either."""
    if code not in CODES:
        raise ValueError(f"{code!r} is not in realtime.errors.CODES")
    return code


class Conflict(Exception):
    """The call contradicts what is stored: 409. `code` says in which way."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = known(code)


class NotAMember(PermissionDenied):
    """The caller sees the channel but has to join it first: 403."""

    code = "not_a_member"


class NotThere(ObjectDoesNotExist):
    """It does not exist: 404. `code` says what."""

    code = "not_found"


class Forbidden(PermissionDenied):
    """It is there, but the caller may not do this with it: 403. `code` says why."""

    code = "forbidden"


class Silenced(PermissionDenied):
    """The caller may only read here until a moment: 403."""

    code = "silenced"

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


class RateLimited(Exception):
    """Too many calls: 429. `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class UnknownMethod(Exception):
    """No method of that name: 404."""


class TooLarge(Exception):
    """A body or frame above its limit, `limit` in bytes: 413."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class Unavailable(Exception):
    """A store that something needs does not answer: 503, come back. `store` says which."""

    def __init__(self, store: str) -> None:
        super().__init__(store)
        self.store = store


class Close(IntEnum):
    """Come back after these up to 4408, with backoff; stay away after the rest."""

    RESTART = 1012
    OVERLOADED = 1013
    NO_PONG = 4408
    BAD_PROTOCOL = 4400
    NOT_SIGNED_IN = 4401
    FORBIDDEN = 4403
    NOT_YOUR_STREAM = 4404
    REPLACED = 4409


class Refused(Exception):
    """A session may not start or go on: an `error` frame with `code`, then the socket closes with `close`."""

    def __init__(self, close: Close, code: str) -> None:
        super().__init__(code)
        self.close = close
        self.code = known(code)


@dataclass(frozen=True)
class Problem:
    """What a client is told of an error, on every transport."""

    status: int
    code: str
    title: str
    detail: str = ""
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    retry_after: float | None = None

    def __post_init__(self) -> None:
        known(self.code)


def problem_of(error: Exception) -> Problem | None:
    """The answer to an expected error; None for one that nobody expected."""
    match error:
        case RateLimited():
            wait = round(error.retry_after, 3)
            return Problem(429, "rate_limited", _("Too many requests"), _("Wait a moment, then try again."), {}, wait)
        case InvalidParams():
            return _invalid(_flat(error.detail))
        case ValidationError():
            return replace(_invalid(_by_field(error)), code=_code_of(error))
        case NotThere():
            return Problem(404, error.code, _("Not found"), str(error))
        case ObjectDoesNotExist():
            return Problem(404, "not_found", _("Not found"), _("It does not exist, or you may not see it."))
        case NotAMember():
            return Problem(403, error.code, _("Not a member"), str(error) or _("Join the channel first."))
        case Silenced():
            until = _("You may only read here until %(until)s.") % {
                "until": f"{error.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            }
            return Problem(403, error.code, _("Muted"), until)
        case Forbidden():
            return Problem(403, error.code, _("Not allowed"), str(error))
        case PermissionDenied():
            return Problem(403, "forbidden", _("Not allowed"), str(error) or _("You may not do this."))
        case Conflict():
            return Problem(409, error.code, _("Conflict"), str(error))
        case UnknownMethod():
            return Problem(404, "unknown_method", _("Unknown method"), _("There is no method of this name."))
        case TooLarge():
            limit = _("The limit is %(limit)d bytes.") % {"limit": error.limit}
            return Problem(413, "too_large", _("Too large"), limit)
        case Unavailable():
            return Problem(503, "unavailable", _("Unavailable"), _("Try again in a moment."), {}, 1.0)
        case APIException():
            return _problem_of_api(error)
    return None


def _invalid(errors: Mapping[str, list[str]]) -> Problem:
    first = next((f"{name}: {told[0]}" if name else told[0] for name, told in errors.items() if told), "")
    return Problem(400, "invalid", _("Invalid input"), first, errors)


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    if hasattr(error, "error_dict"):
        return {("" if name == NON_FIELD_ERRORS else name): told for name, told in error.message_dict.items()}
    return {"": error.messages}


def _code_of(error: ValidationError) -> str:
    """A code of ours that an action gave, else `invalid`."""
    told = error.error_dict.values() if hasattr(error, "error_dict") else [error.error_list]
    return next((one.code for errors in told for one in errors if one.code in CODES), "invalid")


def _flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """DRF's nested details as one level: {"user_ids.2": ["..."]}."""
    if isinstance(detail, ErrorDetail):
        return {path: [str(detail)]}
    if isinstance(detail, list) and all(isinstance(item, ErrorDetail) for item in detail):
        return {path: [str(item) for item in detail]}
    told: dict[str, list[str]] = {}
    for key, value in detail.items() if isinstance(detail, Mapping) else enumerate(detail):
        name = "" if key == "non_field_errors" else str(key)
        told.update(_flat(value, ".".join(part for part in (path, name) if part)))
    return told


_API_CODES = {
    400: "bad_request",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}


def _problem_of_api(error: APIException) -> Problem:
    code = _API_CODES.get(error.status_code, "bad_request")
    wait = getattr(error, "wait", None)
    # The framework's own texts of these two are patterns, with holes for what was asked for.
    titles = {405: _("Method not allowed"), 415: _("Unsupported media type")}
    title = titles.get(error.status_code, str(error.default_detail))
    return Problem(error.status_code, code, title, str(error.detail), {}, wait)
