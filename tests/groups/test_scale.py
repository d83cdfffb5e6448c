"""What a long history costs: 200 channels of 100 people with 100,000 messages. Made once, on PostgreSQL."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from groups.models import (
    Channel,
    ChannelMember,
    Mention,
    Message,
    ReadCursor,
    User,
    Workspace,
    WorkspaceMember,
)
from groups.models.sidebar import with_state_of
from realtime import clock
from tests.cast import Api

PEOPLE, CHANNELS, MESSAGES = 100, 200, 100_000

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


def multiply(template: Model, count: int, **columns: str) -> None:
    """Rows like this one; `columns` are SQL of `n`, which is 0, 1, 2 … The template itself goes."""
    table = template._meta.db_table
    fields = [str(field.column) for field in template._meta.concrete_fields if not field.primary_key]
    values = ", ".join(columns.get(field, f'"{field}"') for field in fields)
    names = ", ".join(f'"{field}"' for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values}"
            f" FROM (SELECT * FROM {table} WHERE id = %s) AS template, generate_series(0, {count - 1}) AS n ORDER BY n",
            [template.pk],
        )
        cursor.execute(f"DELETE FROM {table} WHERE id = %s", [template.pk])
        cursor.execute(f"ANALYZE {table}")


@pytest.fixture
def crowded(workspace: Workspace, ada: User) -> list[Channel]:
    """Ada has read the first half of each channel."""
    now, founder = clock.now(), workspace.created_by
    people = User.objects.bulk_create(User(username=f"person {number}", password="!") for number in range(PEOPLE))
    WorkspaceMember.objects.bulk_create(
        WorkspaceMember(workspace=workspace, user=user, joined_rev=1, joined_at=now) for user in people
    )
    revs = MESSAGES // CHANNELS + 1
    channels = Channel.objects.bulk_create(
        Channel(
            workspace=workspace,
            kind="public",
            name=f"channel {number}",
            created_by=founder,
            created_at=now,
            rev=revs,
            members_rev=1,
        )
        for number in range(CHANNELS)
    )
    # The template of the channels' rows is Ada's, in another channel.
    other = Channel.objects.create(
        workspace=workspace, kind="private", name="other", created_by=founder, created_at=now, rev=1, members_rev=1
    )
    channel = f"(ARRAY{[one.pk for one in channels]})[1 + mod(n, {CHANNELS})]"
    person = f"(ARRAY{[ada.pk, *(user.pk for user in people[1:])]})[1 + n / {CHANNELS}]"
    member = ChannelMember.objects.create(channel=other, user=ada, joined_rev=1, joined_at=now)
    multiply(member, PEOPLE * CHANNELS, channel_id=channel, user_id=person)
    message = say_in(other, ada)
    author = f"(ARRAY{[ada.pk, *(user.pk for user in people[1:])]})[1 + mod(n, 7)]"
    multiply(message, MESSAGES, channel_id=channel, author_id=author, rev=f"1 + n / {CHANNELS}")
    first = Message.objects.earliest("pk").pk
    half = f"{first} + {MESSAGES // 2 - CHANNELS} + mod(n, {CHANNELS})"
    cursor = ReadCursor.objects.create(channel=other, user=ada)
    multiply(cursor, PEOPLE * CHANNELS, channel_id=channel, user_id=person, last_read_id=half)
    named = Message.objects.exclude(author=ada).filter(pk__gte=first).earliest("pk")
    # Each 50th message names Ada and each 20th has a reaction.
    named_id = f"{first} + n * 50"
    mention = Mention.objects.create(message=named, channel=named.channel, user=ada, kind="user")
    of_50 = f"(ARRAY{[one.pk for one in channels]})[1 + mod(n * 50, {CHANNELS})]"
    multiply(mention, MESSAGES // 50, message_id=named_id, channel_id=of_50)
    multiply(named.reactions.create(user=ada, emoji="👍"), MESSAGES // 20, message_id=f"{first} + n * 20")
    other.delete()
    return channels


def say_in(channel: Channel, author: User) -> Message:
    body = "The build is **green** again, after all. " * 3
    return Message.objects.create(
        channel=channel,
        author=author,
        body=body,
        html=f"<p>{body}</p>",
        content_hash=bytes(32),
        rev=1,
        created_at=clock.now(),
    )


def test_a_long_history_costs_no_more_queries_than_a_short_one(crowded: list[Channel], api: Api, ada: User) -> None:
    call = api(ada)
    call("user.me")
    asked: dict[str, dict[str, Any]] = {
        "client.boot": {},
        "message.list": {"channel_id": crowded[0].pk, "limit": 200},
        "message.send": {"channel_id": crowded[0].pk, "body": "hello"},
    }
    answers, costs = {}, {}
    for method, params in asked.items():
        with CaptureQueriesContext(connection) as queries:
            answers[method] = call(method, **params).body
        costs[method] = len(queries)

    assert costs == {"client.boot": 11, "message.list": 4, "message.send": 8}
    shown = answers["client.boot"]["channels"]
    theirs = sum(1 for n in range(MESSAGES // 2, MESSAGES) if n % 7)
    assert (len(shown), sum(row["unread_count"] for row in shown)) == (CHANNELS, theirs)
    assert {row["member_count"] for row in shown} == {PEOPLE}
    assert sum(row["mention_count"] for row in shown) == MESSAGES // 100
    assert len(answers["message.list"]["messages"]) == 200
    # By its index each channel's unread messages are counted, and not by reading all messages of all channels.
    plan = with_state_of(ada, Channel.objects.open_to(ada)).explain(analyze=True)
    assert "Seq Scan on groups_message" not in plan
    assert "Seq Scan on groups_mention" not in plan
    call_command("verify_counts", stdout=StringIO())
