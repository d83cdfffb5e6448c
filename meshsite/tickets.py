from typing import Any, TypedDict

from django.conf import settings

from meshsite.credentials import issue_ticket
from realtime.commands import Caller, Params, method


class TicketAnswer(TypedDict):
    ticket: str
    expires_in: float


class TicketParams(Params):
    pass


@method("realtime.ticket", params=TicketParams, answer=TicketAnswer, scope="read", reads=False)
def ticket(caller: Caller, params: dict[str, Any]) -> TicketAnswer:
    """A ticket for `/ws/user/me?ticket=`, where headers cannot be set. Valid once, for `expires_in` seconds."""
    return {"ticket": issue_ticket(caller), "expires_in": settings.TICKET_SECONDS}
