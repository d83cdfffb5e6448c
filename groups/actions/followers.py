"""Who follows a thread without asking for it, and what followers are told when something happens in it."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from groups.audiences import those_in
from groups.events import ThreadUpdated
from groups.models import Channel, ChannelMember, Message, ThreadFollower
from groups.models.thread import ThreadFollowerQuerySet
from groups.payloads import own_thread_payload
from realtime.publish import Publication

THREAD_FOLLOWERS = 1_000
"""Of one thread. Nobody begins to follow by writing or being named beyond it; who asks to is refused."""


class Reply(NamedTuple):
    """A message in a thread, and whom it names directly."""

    message: Message
    named_ids: Collection[int] = ()


def told_of_replies(replies: Sequence[Reply]) -> list[Publication]:
    """What the followers of these threads are told of new replies, after who wrote or is named began to follow.

    The caller holds the locks of the channels and has saved their revs.
    """
    if not replies:
        return []
    began = [
        ThreadFollower(root=root, user_id=user_id, last_read_id=last_read_id)
        for message, named_ids in replies
        if (root := message.thread_root) is not None
        for user_id, last_read_id in [
            (message.author_id, message.pk),
            (root.author_id, message.pk - 1),
            *((user_id, message.pk - 1) for user_id in sorted(named_ids)),
        ]
    ]
    _begin_to_follow(began)
    return told_of_threads({row.root_id for row in began})


def told_of_naming(reply: Reply) -> list[Publication]:
    """What those are told whom an edit of a reply began to name, and who follow the thread through that."""
    message, named_ids = reply
    began = _begin_to_follow(
        ThreadFollower(root=message.thread_root, user_id=user_id, last_read_id=message.pk - 1)
        for user_id in sorted(named_ids)
        if message.thread_root is not None
    )
    return told_to(ThreadFollower.objects.filter(pk__in=[row.pk for row in began]))


def told_of_threads(root_ids: Collection[int]) -> list[Publication]:
    """What the followers of these threads are told when one lost a reply, or its root."""
    return told_to(ThreadFollower.objects.filter(root__in=root_ids).told())


def told_to(followers: ThreadFollowerQuerySet) -> list[Publication]:
    """The thread of each as it is for them now; those for whom it is the same share an event.

    The caller holds the locks of the channels and has saved their revs.
    """
    readers: dict[tuple[int, bool, int, int], list[int]] = {}
    threads, channels = {}, {}
    for row in followers.states():
        same = row.root_id, row.following, row.last_read_id, row.unread_count
        threads[same] = own_thread_payload(row)
        channels[same] = Channel(pk=row.channel_id, members_rev=row.members_rev)
        readers.setdefault(same, []).append(row.user_id)
    return [
        Publication(ThreadUpdated(thread), those_in(channels[same], readers[same]), channels[same].order)
        for same, thread in threads.items()
    ]


def _begin_to_follow(candidates: Iterable[ThreadFollower]) -> list[ThreadFollower]:
    """Store those who are members, neither follow nor unfollowed before, and for whom there is room."""
    first: dict[tuple[int, int], ThreadFollower] = {}
    for row in candidates:
        first.setdefault((row.root_id, row.user_id), row)
    root_ids = {root_id for root_id, _user_id in first}
    known = ThreadFollower.objects.filter(root__in=root_ids).values_list("root_id", "user_id", "following")
    followers: Counter[int] = Counter()
    for root_id, user_id, following in known:
        first.pop((root_id, user_id), None)
        followers[root_id] += following
    if not first:
        return []
    members = set(
        ChannelMember.objects.filter(
            channel__in={row.root.channel_id for row in first.values()},
            user__in={row.user_id for row in first.values()},
        ).values_list("channel_id", "user_id")
    )
    began = []
    for (root_id, user_id), row in first.items():
        if (row.root.channel_id, user_id) in members and followers[root_id] < THREAD_FOLLOWERS:
            followers[root_id] += 1
            began.append(row)
    ThreadFollower.objects.bulk_create(began)
    return began
