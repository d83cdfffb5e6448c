"""Mentions: whom a text names, who is told of it, and what becomes of that when the text changes or goes."""

import logging
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.db.models.functions import Lower
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from groups.audiences import those_in
from groups.events import MentionCreated, MentionDeleted
from groups.markdown import Text
from groups.models import ChannelMember, Mention, Message, User, WorkspaceMember
from groups.models.mention import MentionKind
from groups.names import folded, groups_named
from groups.payloads import MessagePayload, mention_payload
from groups.roles import Deed, allowed
from realtime import limits
from realtime.backends import leases
from realtime.errors import Conflict, RateLimited, Unavailable
from realtime.publish import Publication
from realtime.relay import user_stream

log = logging.getLogger(__name__)

MENTIONS_PER_MESSAGE = 50
"""Different people by name."""
GROUPS = {"channel": MentionKind.CHANNEL, "here": MentionKind.HERE}

Kinds = Mapping[int, str]
"""Who is told of a text, by id, and why: a MentionKind. Never its author."""
Key = TypeVar("Key", bound=Hashable)


class GroupCall(NamedTuple):
    """A text that names a whole group."""

    author: User
    channel_id: int
    calls: frozenset[str]
    """The groups that it names anew: the members are told."""
    confirmed: bool


@dataclass(frozen=True)
class Permit:
    """What the groups in a text come to."""

    calls: frozenset[str] = frozenset()
    """Whose members are told. A group that an edit leaves in its text is named and tells nobody."""
    here: frozenset[int] = frozenset()
    """Who is online."""
    allowed: bool = True
    """Else the author is a guest, for whom they are text like any other."""
    refusal: Exception | None = None

    def check(self) -> None:
        """Raises Conflict for a call that needs to be confirmed, RateLimited past GROUP_MENTIONS_PER_HOUR."""
        if self.refusal is not None:
            raise self.refusal


NO_GROUPS = Permit()


def groups_in(text: Text) -> frozenset[str]:
    """The groups that a text may name."""
    return frozenset(map(folded, text.names)) & GROUPS.keys() if text.names else frozenset()


def permits(asked: Mapping[Key, GroupCall]) -> dict[Key, Permit]:
    """What each may do. Asked before the locks are taken, as limits and leases may be on another machine.

    What cannot be written anyway spends nothing of the limit; nor does what needs to be confirmed first.
    """
    if not asked:
        return {}
    channel_ids = {call.channel_id for call in asked.values()}
    authors = {call.author.pk for call in asked.values()}
    members = ChannelMember.objects.filter(channel__in=channel_ids)
    writing = set(
        members.filter(user__in=authors, channel__archived_at=None).values_list("channel_id", "user_id"),
    )
    roles = WorkspaceMember.objects.filter(user__in=authors, workspace__channels__in=channel_ids)
    calling = {
        (channel_id, user_id)
        for channel_id, user_id, role in roles.values_list("workspace__channels", "user_id", "role")
        if allowed(Deed.MENTION_GROUP, role)
    }
    sizes = dict(members.values_list("channel_id").annotate(Count("pk")))
    reached = _reached(channel_ids)
    online = _online({pk for call in asked.values() if "here" in call.calls for pk in reached[call.channel_id]})
    granted: dict[Key, Permit] = {}
    spending: dict[Key, Permit] = {}
    for key, call in asked.items():
        place = call.channel_id, call.author.pk
        told = reached[call.channel_id] - {call.author.pk}
        if place not in calling or place not in writing or not call.calls:
            granted[key] = Permit(allowed=place in calling)
        elif sizes[call.channel_id] > settings.GROUP_MENTION_CONFIRM and not call.confirmed:
            granted[key] = Permit(refusal=_unconfirmed(len(told if "channel" in call.calls else told & online)))
        else:
            spending[key] = Permit(call.calls, online)
    return granted | _spent(asked, spending)


def permit_edit(*, editor: User, message_id: int, text: Text, body: str, confirmed: bool) -> Permit:
    """What the groups may do in a text that replaces another one. Those which that one named are no new call."""
    groups = groups_in(text)
    if not groups:
        return NO_GROUPS
    mine = Message.objects.open_to(editor).shown().filter(pk=message_id, author=editor).exclude(body=body)
    found = mine.values_list("channel_id", "html").first()
    if found is None:
        return NO_GROUPS
    channel_id, html = found
    return permits({0: GroupCall(editor, channel_id, groups - groups_named(html), confirmed)})[0]


class Named(NamedTuple):
    """A text with the people and groups that it names."""

    html: str
    kinds: Kinds
    kept: frozenset[str]
    """Kinds of groups that are named and not called: who was told of them stays told."""

    @property
    def by_name(self) -> list[int]:
        return [user_id for user_id, kind in self.kinds.items() if kind == MentionKind.USER]


@dataclass(frozen=True)
class People:
    """Who may be named in some channels, read under their locks."""

    by_name: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    """Of each channel the members' ids by `folded` name; those that were looked for."""
    reached: Mapping[int, Collection[int]] = field(default_factory=dict)
    """Of each channel whom its groups reach."""

    def named_in(self, text: Text, *, author_id: int, channel_id: int, permit: Permit) -> Named:
        """Raises ValidationError for more than MENTIONS_PER_MESSAGE, and what `permit` refuses."""
        if not text.names:
            return Named(text.html, {}, frozenset())
        permit.check()
        user_ids = self.by_name.get(channel_id, {})
        html, met = text.naming(user_ids, GROUPS if permit.allowed else ())
        groups = met & GROUPS.keys() if permit.allowed else frozenset()
        named_ids = {user_ids[name] for name in met - groups}
        if len(named_ids) > MENTIONS_PER_MESSAGE:
            told = _("At most %(limit)d people can be named in a message, not %(count)d.")
            counts = {"limit": MENTIONS_PER_MESSAGE, "count": len(named_ids)}
            raise ValidationError({"body": ValidationError(told % counts, code="too_many_mentions")})
        kinds: dict[int, str] = {}
        reached = self.reached.get(channel_id, ())
        if "here" in groups & permit.calls:
            kinds.update((user_id, MentionKind.HERE) for user_id in reached if user_id in permit.here)
        if "channel" in groups & permit.calls:
            kinds.update((user_id, MentionKind.CHANNEL) for user_id in reached)
        kinds.update((user_id, MentionKind.USER) for user_id in named_ids)
        kinds.pop(author_id, None)
        return Named(html, kinds, frozenset(GROUPS[name] for name in groups - permit.calls))


def people_in(texts: Iterable[tuple[int, Text, Permit]]) -> People:
    """Who may be meant in texts for these channels: at most one query for names, and one for groups."""
    wanted: dict[int, set[str]] = defaultdict(set)
    called = set()
    for channel_id, text, permit in texts:
        if text.names:
            wanted[channel_id] |= text.names
        if permit.calls:
            called.add(channel_id)
    return People(_by_name(wanted), _reached(called) if called else {})


def created_of(message: Message, payload: MessagePayload, kinds: Kinds) -> list[Publication]:
    """What those are told who are named now. The message is as in its own event, which goes before."""
    if not kinds:
        return []
    told: dict[str, list[int]] = defaultdict(list)
    for user_id, kind in kinds.items():
        told[kind].append(user_id)
    return [
        Publication(
            MentionCreated(mention_payload(kind, message), payload),
            those_in(message.channel, told[kind]),
            message.channel.order,
        )
        for kind in MentionKind.values
        if kind in told
    ]


def store_mentions(of: Iterable[tuple[Message, Kinds]]) -> None:
    """Of messages that were just stored, or people who were not named before."""
    rows = [
        Mention(message_id=message.pk, channel_id=message.channel_id, user_id=user_id, kind=kind)
        for message, kinds in of
        for user_id, kind in kinds.items()
    ]
    if rows:
        Mention.objects.bulk_create(rows)


class Replaced(NamedTuple):
    """What an edit changed in the mentions of a message."""

    added: Kinds
    removed: list[int]
    """Who is told that they are no longer named: members still."""
    by_name: list[int]
    """Who is named by name now, and was not."""


def replace_mentions(message: Message, named: Named) -> Replaced:
    """Make the mentions those of the new text. The caller holds the channel's lock, and `message` its earlier text."""
    before = _told_before(message)
    now = dict(named.kinds)
    for user_id, kind in before.items():
        if user_id not in now and named.kept:
            if kind in named.kept:
                now[user_id] = kind
            elif kind == MentionKind.USER:
                now[user_id] = min(named.kept)  # channel before here
    added = {user_id: kind for user_id, kind in now.items() if user_id not in before}
    store_mentions([(message, added)])
    for kind in MentionKind.values:
        changed = [pk for pk, was in before.items() if was != kind and now.get(pk) == kind]
        if changed:
            message.mentions.filter(user__in=changed).update(kind=kind)
    by_name = [user_id for user_id in named.by_name if before.get(user_id) != MentionKind.USER]
    return Replaced(added, _remove(message, before.keys() - now.keys()), by_name)


def remove_mentions(message: Message) -> list[int]:
    """Of a message that is deleted; `message` has its text still. Who is told of it."""
    return _remove(message, _told_before(message).keys())


def deleted_of(message: Message, user_ids: Collection[int]) -> list[Publication]:
    """What those are told who are named no longer."""
    if not user_ids:
        return []
    event = MentionDeleted(message_id=message.pk, channel_id=message.channel_id, rev=message.rev)
    return [Publication(event, those_in(message.channel, user_ids), message.channel.order)]


def _told_before(message: Message) -> dict[int, str]:
    # A text without an @ names nobody, and most are.
    return dict(message.mentions.values_list("user_id", "kind")) if "@" in message.body else {}


def _remove(message: Message, user_ids: Collection[int]) -> list[int]:
    if not user_ids:
        return []
    # Who left since may not hear of the channel any more.
    members = ChannelMember.objects.filter(channel=message.channel_id, user__in=user_ids)
    told = list(members.values_list("user_id", flat=True))
    message.mentions.filter(user__in=user_ids).delete()
    return told


def _by_name(wanted: Mapping[int, Collection[str]]) -> dict[int, dict[str, int]]:
    names = {name for of_channel in wanted.values() for name in of_channel}
    if not names:
        return {}
    # SQLite lowers only ASCII letters: there a name with others is found as it is written.
    lowered = {written for name in names for written in (folded(name), _with_ascii_lowered(name))}
    members = (
        ChannelMember.objects.filter(channel__in=wanted, user__is_active=True)
        .annotate(lowered=Lower("user__username"))
        .filter(lowered__in=lowered)
    )
    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for channel_id, user_id, username in members.values_list("channel_id", "user_id", "user__username"):
        found[channel_id][folded(username)] = user_id
    return found


def _with_ascii_lowered(name: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _reached(channel_ids: Collection[int]) -> dict[int, set[int]]:
    """Whom @channel tells in each: not who muted it."""
    reached: dict[int, set[int]] = {channel_id: set() for channel_id in channel_ids}
    members = ChannelMember.objects.filter(channel__in=channel_ids, muted=False, user__is_active=True)
    for channel_id, user_id in members.values_list("channel_id", "user_id"):
        reached[channel_id].add(user_id)
    return reached


def _online(user_ids: Collection[int]) -> frozenset[int]:
    asked = list(user_ids)
    if not asked:
        return frozenset()
    try:
        statuses = leases().statuses([user_stream(user_id) for user_id in asked])
    except Unavailable:
        # A message does not wait for the store that knows who is here.
        log.warning("mentions: the leases are away, @here reaches nobody")
        return frozenset()
    return frozenset(user_id for user_id, (status, _version) in zip(asked, statuses, strict=True) if status == "online")


def _unconfirmed(count: int) -> Conflict:
    told = ngettext(
        "This tells %(count)d person. Send it again with a confirmation.",
        "This tells %(count)d people. Send it again with a confirmation.",
        count,
    )
    return Conflict("mention_unconfirmed", told % {"count": count})


def _spent(asked: Mapping[Key, GroupCall], spending: Mapping[Key, Permit]) -> dict[Key, Permit]:
    per_hour = settings.GROUP_MENTIONS_PER_HOUR
    keys = [f"group_mention:{asked[key].author.pk}" for key in spending]
    waits = limits.spend_each(keys, per_minute=per_hour / 60, burst=per_hour) if keys else []
    return {
        key: permit if wait == 0 else Permit(refusal=RateLimited(wait))
        for (key, permit), wait in zip(spending.items(), waits, strict=True)
    }
