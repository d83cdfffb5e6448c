from typing import TypedDict

from presence.models import StatusText
from realtime.leases import Status


class PresencePayload(TypedDict):
    user_id: int
    status: str
    status_text: str
    status_emoji: str
    version: int


def presence_payload(user_id: int, status: Status, version: int, text: StatusText) -> PresencePayload:
    return {
        "user_id": user_id,
        "status": status,
        "status_text": text.text,
        "status_emoji": text.emoji,
        "version": version,
    }
