"""What is stored beside its truth: where the two differ, and mending it.

Each look is one statement, so that it sees one moment and never what is merely on its way. What a constraint guards is
looked at, too: a database may have been copied without it.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import CharField, Count, Exists, F, Model, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat, Greatest

from groups.actions.followers import told_of_threads
from groups.actions.membership import take_out
from groups.audiences import members_of
from groups.events import MessageUpdated, SyncReset
from groups.models import (
    Channel,
    ChannelMember,
    Invite,
    Mention,
    Message,
    MessageVersion,
    Reaction,
    ReadCursor,
    ThreadFollower,
    User,
    Workspace,
    WorkspaceMember,
)
from groups.models.channel import Kind
from groups.models.name_key import LATER, MADE_BY, NameKey
from groups.payloads import message_payload
from realtime.publish import Publication, publish, publish_all, users

MENDED: Final = "counts_mended"
"""The `reason` of sync.reset."""


class Difference(NamedTuple):
    channel_id: int | None
    """Under whose lock it is mended; None for what belongs to no channel."""
    told: str


class _Check(NamedTuple):
    """One way in which the rows of channels may differ from what they say of others."""

    find: Callable[[], QuerySet[Any]]
    tell: Callable[[Any], str]
    mend: Callable[[Channel, list[Any]], Iterable[int]]
    """Under the locks of the workspace and the channel. The ids of users who have to look at everything anew."""
    channel: str = "channel"
    """The way from a row to its channel."""


def differences() -> Iterator[Difference]:
    """All that differ, in no hurry: the tables are read whole."""
    for check in _CHECKS:
        rows = check.find().order_by("pk").annotate(found_in=F(check.channel))
        for row in rows.iterator(2_000):
            yield Difference(row.found_in, f"channel {row.found_in}: {check.tell(row)}")
    for told, _mend in _apart():
        yield Difference(None, told)


def mend_channel(channel_id: int) -> None:
    """Mend what differs in a channel now, and tell those concerned. A repeat finds nothing and tells nobody."""
    with transaction.atomic():
        workspace_id = Channel.objects.values_list("workspace_id", flat=True).get(pk=channel_id)
        Workspace.objects.select_for_update().get(pk=workspace_id)
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        concerned: set[int] = set()
        for check in _CHECKS:
            if rows := list(check.find().filter(**{check.channel: channel_id}).order_by("pk")):
                concerned.update(check.mend(channel, rows))
        if concerned:
            publish(SyncReset(MENDED), to=users(concerned), order=channel.order)


def mend_apart() -> None:
    """Mend what differs outside of channels."""
    with transaction.atomic():
        # So that no name is given meanwhile and nobody comes or goes. It is a matter of a moment.
        list(Workspace.objects.select_for_update().order_by("pk").values_list("pk"))
        for _told, mend in list(_apart()):
            mend()


def _wrong_reply_counts() -> QuerySet[Any]:
    replies = Message.objects.shown().filter(thread_root=OuterRef("pk")).order_by().values("thread_root")
    counts = Coalesce(Subquery(replies.annotate(count=Count("pk")).values("count")), Value(0))
    return Message.objects.with_payload().annotate(replies_now=counts).exclude(reply_count=F("replies_now"))


def _mend_reply_counts(channel: Channel, roots: list[Any]) -> Iterable[int]:
    told = []
    for root in roots:
        root.reply_count, root.rev = root.replies_now, channel.next_rev()
        root.save(update_fields=["reply_count", "rev"])
        told.append(Publication(MessageUpdated(message_payload(root)), members_of(channel), channel.order))
    channel.save(update_fields=["rev"])
    publish_all([*told, *told_of_threads([root.pk for root in roots])])
    return ()


def _members_without_a_cursor() -> QuerySet[Any]:
    cursors = ReadCursor.objects.filter(channel=OuterRef("channel"), user=OuterRef("user"))
    return ChannelMember.objects.filter(~Exists(cursors))


def _give_cursors(channel: Channel, members: list[ChannelMember]) -> Iterable[int]:
    """As if they had just come."""
    newest_id = channel.messages.order_by("-pk").values_list("pk", flat=True).first() or 0
    ReadCursor.objects.bulk_create(
        ReadCursor(channel=channel, user_id=member.user_id, last_read_id=newest_id) for member in members
    )
    return [member.user_id for member in members]


def _cursors_of_nobody() -> QuerySet[Any]:
    return ReadCursor.objects.filter(~Exists(_membership("channel")))


def _cursors_beyond() -> QuerySet[Any]:
    return ReadCursor.objects.annotate(newest=_newest_in("channel")).filter(last_read_id__gt=F("newest"))


def _bring_cursors_back(channel: Channel, cursors: list[Any]) -> Iterable[int]:
    for cursor in cursors:
        cursor.last_read_id = cursor.newest
        cursor.version += 1
    ReadCursor.objects.bulk_update(cursors, ["last_read_id", "version"], batch_size=500)
    return [cursor.user_id for cursor in cursors]


def _followers_beyond() -> QuerySet[Any]:
    return ThreadFollower.objects.annotate(newest=_newest_in("root__channel")).filter(last_read_id__gt=F("newest"))


def _bring_followers_back(channel: Channel, followers: list[Any]) -> Iterable[int]:
    for follower in followers:
        follower.last_read_id = follower.newest
    ThreadFollower.objects.bulk_update(followers, ["last_read_id"], batch_size=500)
    return [follower.user_id for follower in followers]


def _followers_outside() -> QuerySet[Any]:
    return ThreadFollower.objects.filter(~Exists(_membership("root__channel")), following=True)


def _followers_of_replies() -> QuerySet[Any]:
    return ThreadFollower.objects.filter(root__thread_root__isnull=False)


def _left_on_deleted(of: type[Model]) -> Callable[[], QuerySet[Any]]:
    return lambda: of._default_manager.filter(message__deleted_at__isnull=False)


def _pinned_though_deleted() -> QuerySet[Any]:
    return Message.objects.filter(pinned_at__isnull=False, deleted_at__isnull=False)


def _unpin(channel: Channel, messages: list[Message]) -> Iterable[int]:
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(pinned_at=None, pinned_by=None)
    return _everybody(channel)


def _mentions_elsewhere() -> QuerySet[Any]:
    return Mention.objects.exclude(channel=F("message__channel"))


def _bring_mentions_home(channel: Channel, mentions: list[Mention]) -> Iterable[int]:
    Mention.objects.filter(pk__in=[mention.pk for mention in mentions]).update(channel=channel)
    return [mention.user_id for mention in mentions]


def _outsiders() -> QuerySet[Any]:
    inside = WorkspaceMember.objects.filter(workspace=OuterRef("channel__workspace"), user=OuterRef("user"))
    return ChannelMember.objects.filter(~Exists(inside)).select_related("user")


def _send_away(channel: Channel, members: list[ChannelMember]) -> Iterable[int]:
    for member in members:
        take_out([channel], member.user)
    return ()


def _misnamed() -> QuerySet[Any]:
    """Direct channels that are not named after somebody who is in them. Named after more they may be: those left."""
    own = Concat(Value(","), Cast("user_id", CharField()), Value(","))
    named = Concat(Value(","), F("channel__direct_key"), Value(","))
    unnamed = ChannelMember.objects.annotate(own=own, named=named).exclude(named__contains=F("own"))
    return Channel.objects.filter(Exists(unnamed.filter(channel=OuterRef("pk"))), kind=Kind.DIRECT)


def _name_after_members(channel: Channel, _rows: list[Channel]) -> Iterable[int]:
    everybody = set(channel.members.values_list("user_id", flat=True))
    return everybody if _name_after(channel, everybody) else ()


def _name_after(channel: Channel, user_ids: Iterable[int]) -> bool:
    """Whether there is no other channel of these people: two conversations cannot become one by themselves."""
    key = ",".join(map(str, sorted(user_ids)))
    twins = Channel.objects.filter(workspace=channel.workspace_id, kind=Kind.DIRECT, direct_key=key)
    if twins.exists():
        return False
    channel.direct_key = key
    channel.next_rev()
    channel.save(update_fields=["direct_key", "rev"])
    return True


def _revs_behind() -> QuerySet[Any]:
    newest = Message.objects.filter(channel=OuterRef("pk")).order_by("-rev").values("rev")[:1]
    joined = ChannelMember.objects.filter(channel=OuterRef("pk")).order_by("-joined_rev").values("joined_rev")[:1]
    return _behind(Channel.objects.annotate(newest=Coalesce(Subquery(newest), Value(0)), joined=_or_0(joined)))


def _behind(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Whose rev is lower than the `newest` in them, or whose `members_rev` than that at which somebody `joined`."""
    return rows.filter(Q(rev__lt=Greatest("newest", "members_rev", "joined")) | Q(members_rev__lt=F("joined")))


def _raise_rev(channel: Channel, rows: list[Any]) -> Iterable[int]:
    [row] = rows
    channel.rev = max(channel.rev, row.newest, row.members_rev, row.joined)
    # Workers that keep the members read them again.
    channel.next_members_rev()
    channel.save(update_fields=["rev", "members_rev"])
    return _everybody(channel)


def _delete(_channel: Channel, rows: list[Any]) -> Iterable[int]:
    type(rows[0])._default_manager.filter(pk__in=[row.pk for row in rows]).delete()
    return {row.user_id for row in rows if hasattr(row, "user_id")}


def _delete_from_messages(channel: Channel, rows: list[Any]) -> Iterable[int]:
    _delete(channel, rows)
    return _everybody(channel)


def _membership(channel: str) -> QuerySet[ChannelMember]:
    return ChannelMember.objects.filter(channel=OuterRef(channel), user=OuterRef("user"))


def _newest_in(channel: str) -> Coalesce:
    return _or_0(Message.objects.filter(channel=OuterRef(channel)).order_by("-pk").values("pk")[:1])


def _or_0(rows: QuerySet[Any, Any]) -> Coalesce:
    return Coalesce(Subquery(rows), Value(0))


def _everybody(channel: Channel) -> Iterable[int]:
    return channel.members.values_list("user_id", flat=True)


_CHECKS: Final = (
    _Check(
        _wrong_reply_counts,
        lambda root: f"message {root.pk} says {root.reply_count} replies and has {root.replies_now}",
        _mend_reply_counts,
    ),
    _Check(
        _outsiders,
        lambda member: f"user {member.user_id} is a member and not in the workspace",
        _send_away,
    ),
    _Check(
        _members_without_a_cursor,
        lambda member: f"user {member.user_id} is a member and has no read cursor",
        _give_cursors,
    ),
    _Check(
        _cursors_of_nobody,
        lambda cursor: f"user {cursor.user_id} has a read cursor and is no member",
        _delete,
    ),
    _Check(
        _cursors_beyond,
        lambda cursor: f"user {cursor.user_id} has read up to {cursor.last_read_id}, beyond the newest message",
        _bring_cursors_back,
    ),
    _Check(
        _followers_beyond,
        lambda row: (
            f"user {row.user_id} has read thread {row.root_id} up to {row.last_read_id}, beyond the newest message"
        ),
        _bring_followers_back,
        "root__channel",
    ),
    _Check(
        _followers_outside,
        lambda row: f"user {row.user_id} follows thread {row.root_id} and is no member",
        _delete,
        "root__channel",
    ),
    _Check(
        _followers_of_replies,
        lambda row: f"user {row.user_id} follows message {row.root_id}, which is a reply",
        _delete,
        "root__channel",
    ),
    _Check(
        _left_on_deleted(Mention),
        lambda mention: f"deleted message {mention.message_id} mentions user {mention.user_id}",
        _delete,
        "message__channel",
    ),
    _Check(
        _mentions_elsewhere,
        lambda mention: f"message {mention.message_id} mentions user {mention.user_id} in channel {mention.channel_id}",
        _bring_mentions_home,
        "message__channel",
    ),
    _Check(
        _left_on_deleted(Reaction),
        lambda reaction: f"deleted message {reaction.message_id} has a reaction of user {reaction.user_id}",
        _delete_from_messages,
        "message__channel",
    ),
    _Check(
        _left_on_deleted(MessageVersion),
        lambda version: f"deleted message {version.message_id} has an earlier text",
        _delete_from_messages,
        "message__channel",
    ),
    _Check(_pinned_though_deleted, lambda message: f"deleted message {message.pk} is pinned", _unpin),
    _Check(
        _misnamed,
        lambda channel: f"it is named after {channel.direct_key!r}, and not after all of its members",
        _name_after_members,
        "pk",
    ),
    _Check(
        _revs_behind,
        lambda channel: (
            f"its rev is {channel.rev}, that of its members {channel.members_rev}, and there are higher ones"
        ),
        _raise_rev,
        "pk",
    ),
)


_Apart = tuple[str, Callable[[], object]]


def _apart() -> Iterator[_Apart]:
    """What differs outside of channels, each with what mends it under the locks of all workspaces."""
    for invite in Invite.objects.filter(uses__gt=F("max_uses")):
        told = f"invite {invite.pk}: it was used {invite.uses} times of {invite.max_uses}"
        yield told, partial(Invite.objects.filter(pk=invite.pk).update, uses=invite.max_uses)
    joined = WorkspaceMember.objects.filter(workspace=OuterRef("pk")).order_by("-joined_rev").values("joined_rev")[:1]
    for workspace in _behind(Workspace.objects.annotate(newest=Value(0), joined=_or_0(joined))):
        told = f"workspace {workspace.pk}: its rev is {workspace.rev}, and there are higher ones"
        yield told, partial(_raise_workspace, workspace)
    for channel in Channel.objects.filter(kind=Kind.DIRECT).order_by("pk").iterator(2_000):
        named = {int(user_id) for user_id in channel.direct_key.split(",") if user_id.isdecimal()}
        if named and channel.direct_key != ",".join(map(str, sorted(named))):
            told = f"channel {channel.pk}: the people of {channel.direct_key!r} are not in their order"
            yield told, partial(_name_after, channel, named)
    yield from _keys_of(Channel.objects.exclude(kind=Kind.DIRECT))
    yield from _keys_of(User.objects.all())


def _raise_workspace(workspace: Any) -> None:
    workspace.rev = max(workspace.rev, workspace.members_rev, workspace.joined)
    workspace.next_members_rev()
    workspace.save(update_fields=["rev", "members_rev"])
    everybody = users(workspace.members.values_list("user_id", flat=True))
    publish(SyncReset(MENDED), to=everybody, order=workspace.order)


def _keys_of(rows: QuerySet[Any]) -> Iterator[_Apart]:
    """Names whose keys are not those of their spelling and look."""
    for field in rows.model._meta.fields:
        if isinstance(field, NameKey):
            for pk, name, key in rows.order_by("pk").values_list("pk", field.of, field.name).iterator(2_000):
                made = MADE_BY[field.by](name)
                if key != made and not key.startswith(made + LATER):
                    told = f"{rows.model._meta.model_name} {pk}: the {field.by} of {name!r} is not {key!r}"
                    yield told, partial(_give_key, rows.model, pk, field.name, made)


def _give_key(model: type[Model], pk: int, column: str, made: str) -> None:
    row = model._default_manager.get(pk=pk)
    others = model._default_manager.filter(**{column: made}).exclude(pk=pk)
    if isinstance(row, Channel):
        others = others.filter(workspace=row.workspace_id).exclude(kind=Kind.DIRECT)
    setattr(row, column, f"{made}{LATER}{pk}" if others.exists() else made)
    row.save(update_fields=[column])
