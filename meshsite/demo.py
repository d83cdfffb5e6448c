"""The demo: four people in one workspace who have talked a little. Its accounts work only while DEBUG is on."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction

from groups.actions.channels import create_channel
from groups.actions.membership import join_channel
from groups.actions.pins import pin_message
from groups.actions.reactions import react
from groups.actions.sending import send_message
from groups.actions.workspaces import create_workspace, join_open_workspace
from groups.models import Channel, Message, User
from realtime import clock

DEMO_PASSWORD = "meshsite-demo"
PEOPLE = {"alice": "Alice", "bob": "Bob", "carol": "Carol", "dave": "Dave"}

TALK: list[tuple[str, str, dict[str, str]]] = [
    (
        "alice",
        "Good morning, and welcome to **#general**. Everything here is live: open a second window and see.",
        {"👋": "bob dave"},
    ),
    ("bob", "Morning! The new release notes are up. Could somebody read them before noon?", {}),
    ("carol", "おはようございます。日本語のリリースノートも今日中に用意しますね。", {"🙏": "alice bob dave"}),
    (
        "dave",
        "I tried the upgrade on the test machine:\n\n```\nmake run\n```\n\nTwo minutes, no surprises.",
        {"🎉": "alice carol", "👀": "bob"},
    ),
    ("alice", "Nice. Three things before we announce it:\n\n1. read the notes\n2. translate them\n3. cake 🍰", {}),
    ("carol", "ケーキ、賛成です!🍰 チーズケーキがいいな。", {"❤️": "alice"}),
    ("bob", "> cake\n\nSeconded. Notes are [here](https://example.org/notes), by the way.", {}),
]
"""Who says what, and who reacts to it with what."""
PINNED = 4
"""Of TALK: the one with what is to be done."""
ANSWERED = 1
"""Of TALK: the one that begins a thread."""
ANSWERS = [
    ("dave", "I have read them. Two typos, the rest is fine."),
    ("bob", "Thank you, @dave! Both are corrected."),
]


def load() -> None:
    """Load the demo in one transaction. alice is the admin of #general and a moderator on the admin site."""
    with transaction.atomic():
        people = {name: _person(name, shown) for name, shown in PEOPLE.items()}
        alice = people["alice"]
        alice.is_staff = True
        alice.save(update_fields=["is_staff"])
        alice.groups.add(Group.objects.get(name="Moderators"))
        workspace = create_workspace(creator=alice, name="General", open=True)
        general = create_channel(
            creator=alice, workspace_id=workspace.pk, kind="public", name="general", topic="What everybody should know"
        )
        for name in ("bob", "carol", "dave"):
            join_open_workspace(user=people[name], workspace_id=workspace.pk)
            join_channel(user=people[name], channel_id=general.pk)
        started_at = clock.now() - timedelta(hours=2)
        for number, (name, body, reactions) in enumerate(TALK):
            sent_at = started_at + timedelta(minutes=11 * number)
            message = _say(people[name], general, body, sent_at)
            for emoji, names in reactions.items():
                for reactor in names.split():
                    react(reactor=people[reactor], message_id=message.pk, emoji=emoji)
            if number == PINNED:
                pin_message(pinner=alice, message_id=message.pk)
            if number == ANSWERED:
                for minutes, (name, answer) in enumerate(ANSWERS, start=4):
                    _say(people[name], general, answer, sent_at + timedelta(minutes=minutes), thread_root_id=message.pk)


def _say(author: User, channel: Channel, body: str, sent_at: datetime, *, thread_root_id: int | None = None) -> Message:
    sent = send_message(author=author, channel_id=channel.pk, body=body, thread_root_id=thread_root_id)
    Message.objects.filter(pk=sent.message.pk).update(created_at=sent_at)
    return sent.message


def _person(username: str, display_name: str) -> User:
    password = DEMO_PASSWORD if settings.DEBUG else None
    return User.objects.create_user(username, password=password, display_name=display_name, demo=True)
