"""Writes the people of a benchmark into an empty database, and on standard output one line for each of them.

`python -m bench.people 500 crowd` puts all into one channel; `... alone` gives each one of their own.
"""

import os
import sys
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "meshsite.settings")
django.setup()

from groups.models import ApiToken, Channel, ChannelMember, ReadCursor, User, Workspace, WorkspaceMember, secrets  # noqa: E402
from realtime import clock  # noqa: E402

AT_ONCE = 500


def write(count: int, *, alone: bool) -> list[str]:
    """A line for the load client per person: their id, that of their channel, and their header."""
    now = clock.now()
    users = User.objects.bulk_create(
        (User(username=f"user{number}", display_name=f"User {number}", password="!") for number in range(count)),
        AT_ONCE,
    )
    workspace = Workspace.objects.create(name="Bench", created_by=users[0], created_at=now, rev=1, members_rev=1)
    WorkspaceMember.objects.bulk_create(
        (WorkspaceMember(workspace=workspace, user=user, joined_rev=1, joined_at=now) for user in users), AT_ONCE
    )
    names = [f"of {user.username}" for user in users] if alone else ["everybody"]
    channels = Channel.objects.bulk_create(
        (
            Channel(
                workspace=workspace, kind="public", name=name, rev=1, members_rev=1, created_by=users[0], created_at=now
            )
            for name in names
        ),
        AT_ONCE,
    )
    places = [(user, channels[number if alone else 0]) for number, user in enumerate(users)]
    ChannelMember.objects.bulk_create(
        (ChannelMember(channel=channel, user=user, joined_rev=1, joined_at=now) for user, channel in places), AT_ONCE
    )
    ReadCursor.objects.bulk_create((ReadCursor(channel=channel, user=user) for user, channel in places), AT_ONCE)
    tokens = [secrets.make("msh") for _ in users]
    ApiToken.objects.bulk_create(
        (
            ApiToken(
                owner=user,
                name="bench",
                prefix=token[:8],
                token_hash=secrets.digest(token),
                scopes=["read", "write"],
                created_at=now,
                expires_at=now + timedelta(days=1),
                # Used just now, as those of busy programs are: what is measured is not the note of their first use.
                last_used_at=now,
            )
            for user, token in zip(users, tokens, strict=True)
        ),
        AT_ONCE,
    )
    return [
        f"{user.pk} {channel.pk} Authorization: Bearer {token}"
        for (user, channel), token in zip(places, tokens, strict=True)
    ]


if __name__ == "__main__":
    sys.stdout.writelines(f"{person}\n" for person in write(int(sys.argv[1]), alone=sys.argv[2] == "alone"))
