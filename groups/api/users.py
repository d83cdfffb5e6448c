from typing import Any, TypedDict

from groups.api.callers import user_of
from groups.payloads import MePayload, me_payload
from realtime.commands import Caller, Params, method


class MeAnswer(TypedDict):
    user: MePayload


class MeParams(Params):
    pass


@method("user.me", params=MeParams, answer=MeAnswer, scope="read")
def me(caller: Caller, params: dict[str, Any]) -> MeAnswer:
    """Who I am."""
    return {"user": me_payload(user_of(caller))}
