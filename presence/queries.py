"""Who is there. A user is online while a session of theirs is connected to this process."""

from typing import TypedDict

from groups.models import User
from realtime.hub import hub


class PresencePayload(TypedDict):
    user_id: int
    status: str


def seen_by(user: User) -> list[PresencePayload]:
    """The users who share a workspace with this one and are online, and the user themselves."""
    online = {session.user_id for session in hub.sessions()}
    shared = User.objects.filter(pk__in=online, workspace_memberships__workspace__members__user=user).distinct()
    return [{"user_id": pk, "status": "online"} for pk in sorted(shared.values_list("pk", flat=True))]
