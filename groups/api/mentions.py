from typing import Any, TypedDict

from groups.api.callers import user_of
from groups.api.fields import id_field, limit_field
from groups.models import Mention
from groups.payloads import MentionPayload, MessagePayload, mention_payload, message_payload
from realtime.commands import Caller, Params, method


class MentionInMessage(MentionPayload):
    message: MessagePayload


class MentionsAnswer(TypedDict):
    mentions: list[MentionInMessage]
    has_more: bool
    next_before_id: int


class MentionListParams(Params):
    before_id = id_field(required=False)
    limit = limit_field()


@method("mention.list", params=MentionListParams, answer=MentionsAnswer, scope="read")
def list_mentions(caller: Caller, params: dict[str, Any]) -> MentionsAnswer:
    """The messages that name me, newest first, in channels that I am a member of. Go on with `next_before_id`."""
    mentions = Mention.objects.open_to(user_of(caller)).with_message()
    page, has_more = mentions.before(params.get("before_id"), params["limit"])
    return {
        "mentions": [
            {**mention_payload(row.kind, row.message), "message": message_payload(row.message)} for row in page
        ],
        "has_more": has_more,
        "next_before_id": page[-1].message_id if page else 0,
    }
