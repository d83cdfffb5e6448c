"""The events of presence. The fields are the keys of `data`."""

from dataclasses import dataclass

from realtime.events import Ephemeral, Event


@dataclass(frozen=True)
class PresenceUpdated(Event, name="presence.updated"):
    """Somebody came, went, or says something else. Audience: themself, and who shares a workspace; see Presence."""

    user_id: int
    status: str
    status_text: str
    status_emoji: str
    version: int

    @property
    def about(self) -> dict[str, int]:
        return {"user": self.user_id}


@dataclass(frozen=True)
class TypingUpdated(Ephemeral, name="typing.updated"):
    """Who is typing in a channel, without yourself: the whole set, for `expires_in` seconds. Audience: its members."""

    channel_id: int
    user_ids: list[int]
    expires_in: float
