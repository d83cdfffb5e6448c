"""Sending: one message, or those of many people in one transaction."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.fields.tuple_lookups import Tuple, TupleIn
from django.utils.translation import gettext as _

from groups.actions.followers import Reply, told_of_replies
from groups.actions.locks import check_writable, deserted_among, nobody_there, refusal_of
from groups.actions.mentions import (
    NO_GROUPS,
    GroupCall,
    Named,
    Permit,
    created_of,
    groups_in,
    people_in,
    permits,
    store_mentions,
)
from groups.actions.silence import check_silence
from groups.audiences import members_of
from groups.events import MessageCreated, MessageUpdated
from groups.markdown import Text, parse
from groups.models import Channel, ChannelMember, Message, User
from groups.payloads import message_payload
from realtime import clock, limits
from realtime.errors import Conflict, RateLimited
from realtime.publish import Publication, publish_all


@dataclass(frozen=True)
class Draft:
    """A message before it is sent."""

    author: User
    channel_id: int
    body: str
    client_msg_id: str | None = None
    thread_root_id: int | None = None
    confirm_mentions: bool = False
    """That it shall tell many people. No part of the content: an attempt that was refused for this was not stored."""

    @property
    def content_hash(self) -> bytes:
        content = f"{self.channel_id}\n{self.thread_root_id or ''}\n{self.body}"
        return hashlib.sha256(content.encode()).digest()


class Sent(NamedTuple):
    message: Message
    duplicate: bool


Outcome = Sent | Exception

REFUSALS = (ValidationError, PermissionDenied, ObjectDoesNotExist, Conflict)


def send_message(
    *,
    author: User,
    channel_id: int,
    body: str,
    client_msg_id: str | None = None,
    thread_root_id: int | None = None,
    confirm_mentions: bool = False,
) -> Sent:
    """Send to a channel that the author is a member of.

    Repeated with the same `client_msg_id` and content it gives the first message and tells nobody; with other content
    it raises Conflict. Raises RateLimited past SEND_PER_MINUTE.

    A text with @channel or @here raises Conflict in a large channel until it comes with `confirm_mentions`, and
    RateLimited past GROUP_MENTIONS_PER_HOUR.
    """
    [outcome] = send_messages([Draft(author, channel_id, body, client_msg_id, thread_root_id, confirm_mentions)])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def send_messages(drafts: Sequence[Draft]) -> list[Outcome]:
    """Send what several people wrote at the same time in one transaction, in this order.

    Each has its own checks and its own outcome, as if it were alone: what refuses one does not touch the others.
    """
    outcomes: list[Outcome | None] = [None] * len(drafts)
    writing: dict[int, _Checked] = {}
    keys = [f"send:{draft.author.pk}" for draft in drafts]
    waits = limits.spend_each(keys, per_minute=settings.SEND_PER_MINUTE, burst=settings.SEND_BURST)
    for index, (draft, wait) in enumerate(zip(drafts, waits, strict=True)):
        if wait > 0:
            outcomes[index] = RateLimited(wait)
            continue
        try:
            writing[index] = _checked(draft)
        except REFUSALS as refusal:
            outcomes[index] = refusal
    writing |= _with_permits({index: checked for index, checked in writing.items() if groups_in(checked.text)})
    try:
        with transaction.atomic():
            for index, outcome in _write(writing).items():
                outcomes[index] = outcome
    except IntegrityError:
        # The same key came at the same time for another channel, which no common lock keeps apart.
        for index, checked in writing.items():
            outcomes[index] = _write_alone(checked)
    return [outcome for outcome in outcomes if outcome is not None]


class _Checked(NamedTuple):
    draft: Draft
    text: Text
    permit: Permit = NO_GROUPS


def _checked(draft: Draft) -> _Checked:
    body = checked_body(draft.body)
    return _Checked(replace(draft, body=body), parse(body))


def _with_permits(calling: dict[int, _Checked]) -> dict[int, _Checked]:
    """Those whose text names a group, with what that comes to. A retry asks for nothing, so that it spends nothing."""
    if not calling:
        return {}
    sent = _earlier([checked.draft for checked in calling.values()])
    keys = {
        index: index if checked.draft.client_msg_id is None else _key(checked.draft)
        for index, checked in calling.items()
        if _key(checked.draft) not in sent
    }
    asked = {
        keys[index]: GroupCall(draft.author, draft.channel_id, groups_in(text), draft.confirm_mentions)
        for index, (draft, text, _permit) in calling.items()
        if index in keys
    }
    granted = permits(asked)
    return {index: calling[index]._replace(permit=granted[key]) for index, key in keys.items()}


def checked_body(body: str) -> str:
    """The text as it is stored. Raises ValidationError when it is empty or too long."""
    body = body.replace("\r\n", "\n").replace("\r", "\n")
    if not body.strip():
        raise ValidationError({"body": _("Write something first.")})
    if len(body) > settings.MESSAGE_CHARACTERS:
        limit = {"limit": settings.MESSAGE_CHARACTERS, "length": len(body)}
        raise ValidationError({"body": _("At most %(limit)d characters, not %(length)d.") % limit})
    return body


def _write_alone(checked: _Checked) -> Outcome:
    try:
        with transaction.atomic():
            return _write({0: checked})[0]
    except IntegrityError:
        earlier = _earlier([checked.draft]).get(_key(checked.draft))
        if earlier is None:
            raise
        return _same_again(checked.draft, earlier)


def _write(writing: dict[int, _Checked]) -> dict[int, Outcome]:
    """Write under the locks of all channels concerned, taken in the order of their ids, so that nobody deadlocks."""
    drafts = [checked.draft for checked in writing.values()]
    channel_ids = {draft.channel_id for draft in drafts}
    channels = {row.pk: row for row in Channel.objects.select_for_update().filter(pk__in=channel_ids).order_by("pk")}
    # First the locks, then the questions: a removal that commits while this waits must be seen.
    silences = _silences(channels, {draft.author.pk for draft in drafts})
    deserted = deserted_among(channels.values())
    earlier = _earlier(drafts)
    now = clock.now()
    outcomes: dict[int, Outcome] = {}
    created: list[_Created] = []
    people = people_in((draft.channel_id, text, permit) for draft, text, permit in writing.values())
    for index, (draft, text, permit) in writing.items():
        try:
            if (draft.channel_id, draft.author.pk) not in silences:
                raise refusal_of(draft.author, draft.channel_id)
            if (first := earlier.get(_key(draft))) is not None:
                outcomes[index] = _same_again(draft, first)
                continue
            channel = channels[draft.channel_id]
            check_writable(channel)
            if channel.pk in deserted:
                raise nobody_there()
            check_silence(silences[draft.channel_id, draft.author.pk], now)
            root = _thread_root(channel, draft.thread_root_id)
            named = people.named_in(text, author_id=draft.author.pk, channel_id=channel.pk, permit=permit)
            message = Message(
                channel=channel,
                author=draft.author,
                body=draft.body,
                html=named.html,
                thread_root=root,
                client_msg_id=draft.client_msg_id,
                content_hash=draft.content_hash,
                rev=channel.next_rev(),
                created_at=now,
            )
        except (*REFUSALS, RateLimited) as refusal:
            outcomes[index] = refusal
        else:
            created.append(_Created(message, None if root is None else channel.next_rev(), named))
            outcomes[index] = Sent(message, duplicate=False)
            if draft.client_msg_id is not None:
                earlier[_key(draft)] = message
    if created:
        _store(created)
    return outcomes


def _silences(channel_ids: Iterable[int], author_ids: Iterable[int]) -> dict[tuple[int, int], datetime | None]:
    """Who of these people is a member of which of these channels, and until when they may only read there."""
    # A join and no subquery, which takes Django longer to write than the database to answer. Who is in a channel is in
    # its workspace, too.
    rows = ChannelMember.objects.filter(
        channel__in=channel_ids,
        user__in=author_ids,
        user__workspace_memberships__workspace=F("channel__workspace"),
    ).values_list("channel_id", "user_id", "user__workspace_memberships__silenced_until")
    return {(channel_id, user_id): until for channel_id, user_id, until in rows}


class _Created(NamedTuple):
    message: Message
    root_rev: int | None
    """Of the thread root, which counts one reply more. Given at once, so that revs rise in the order of the events."""
    named: Named


def _store(created: list[_Created]) -> None:
    # The ids are drawn here, under the locks: a reader that has seen one has seen all lower ones of the channel.
    Message.objects.bulk_create(one.message for one in created)
    store_mentions((one.message, one.named.kinds) for one in created)
    publications = []
    for message, root_rev, named in created:
        payload = message_payload(message, new=True)
        publications.append(_publication(MessageCreated(payload), message.channel))
        publications += created_of(message, payload, named.kinds)
        root = message.thread_root
        if root is not None and root_rev is not None:
            root.refresh_from_db(fields=["reply_count"])
            root.reply_count += 1
            root.rev = root_rev
            root.save(update_fields=["reply_count", "rev"])
            publications.append(_publication(MessageUpdated(message_payload(root)), message.channel))
    _save_revs(created)
    replies = [Reply(message, named.by_name) for message, root_rev, named in created if root_rev is not None]
    publish_all([*publications, *told_of_replies(replies)])


def _save_revs(created: list[_Created]) -> None:
    raised: Counter[int] = Counter()
    for message, root_rev, _named in created:
        raised[message.channel_id] += 1 if root_rev is None else 2
    for count in set(raised.values()):
        channels = Channel.objects.filter(pk__in=[pk for pk, times in raised.items() if times == count])
        channels.update(rev=F("rev") + count)


def _publication(event: MessageCreated | MessageUpdated, channel: Channel) -> Publication:
    return Publication(event, members_of(channel), channel.order)


def _key(draft: Draft) -> tuple[int, str | None]:
    return draft.author.pk, draft.client_msg_id


def _earlier(drafts: Sequence[Draft]) -> dict[tuple[int, str | None], Message]:
    """Messages that were sent under the same keys."""
    keys = list({_key(draft) for draft in drafts if draft.client_msg_id is not None})
    if not keys:
        return {}
    # As pairs: with a list of authors and one of keys, PostgreSQL reads all that those authors ever wrote.
    sent_as = Tuple(F("author_id"), F("client_msg_id"))
    ids = list(Message.objects.filter(TupleIn(sent_as, keys)).values_list("pk", flat=True))
    # Nearly never: a query for whole messages costs more than to see that there are none.
    found = Message.objects.with_payload().filter(pk__in=ids) if ids else []
    return {(message.author_id, message.client_msg_id): message for message in found}


def _same_again(draft: Draft, earlier: Message) -> Outcome:
    if bytes(earlier.content_hash) != draft.content_hash:
        return Conflict("idempotency_conflict", _("This client_msg_id was used for another message."))
    return Sent(earlier, duplicate=True)


def _thread_root(channel: Channel, thread_root_id: int | None) -> Message | None:
    if thread_root_id is None:
        return None
    root = channel.messages.with_payload().shown().filter(pk=thread_root_id).first()
    if root is None:
        raise ValidationError({"thread_root_id": _("There is no such message in this channel.")})
    if root.thread_root_id is not None:
        raise ValidationError({"thread_root_id": _("A reply cannot begin a thread of its own.")})
    return root
