from typing import Any, TypedDict

from groups import roles
from groups.api.callers import user_of
from groups.api.messages import MessageParams
from groups.markdown import render
from groups.models import Message, MessageVersion
from groups.roles import Deed
from realtime import clock
from realtime.commands import Caller, method

VERSIONS_LISTED = 50
"""Each is rendered when it is asked for."""


class VersionPayload(TypedDict):
    body: str
    html: str
    replaced_at: str


class VersionsAnswer(TypedDict):
    versions: list[VersionPayload]


@method("message.versions", params=MessageParams, answer=VersionsAnswer, scope="read")
def versions(caller: Caller, params: dict[str, Any]) -> VersionsAnswer:
    """The texts that edits of a message replaced, oldest first: the last 50. Of a deleted message there are none.

    Its author, the channel's admins and the workspace's moderators may see them.
    """
    user = user_of(caller)
    message = Message.objects.open_to(user).select_related("channel").get(pk=params["message_id"])
    if message.author_id != user.pk:
        roles.check(user, Deed.SEE_VERSIONS, message.channel)
    newest_first = message.versions.order_by("-pk")[:VERSIONS_LISTED]
    return {"versions": [_version(version) for version in reversed(newest_first)]}


def _version(version: MessageVersion) -> VersionPayload:
    return {
        "body": version.body,
        "html": render(version.body),
        "replaced_at": clock.stamp(version.replaced_at),
    }
