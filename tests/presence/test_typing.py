"""typing.relay: who may, how often, and what it answers. What others see of it is in tests/flows/test_typing.py."""

from typing import Any

import pytest

from groups.models import Channel, User
from presence import typists
from realtime import clock
from tests.cast import Api, stored
from tests.realtime.conftest import Clock


def typing_in(channel: Channel) -> list[int]:
    return typists.look(channel.pk).user_ids


def test_a_member_types_and_stops(memory: str, api: Api, general: Channel, ada: User) -> None:
    call = api(ada)

    assert call("typing.relay", channel_id=general.pk, state="start").body == {}
    assert typing_in(general) == [ada.pk]
    assert call("typing.relay", channel_id=general.pk, state="stop").body == {}
    assert typing_in(general) == []


def test_it_stores_nothing(memory: str, api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    call("user.me")
    before = stored()
    call("typing.relay", channel_id=general.pk, state="start")

    assert stored() == before


def test_who_types_is_who_calls(memory: str, api: Api, general: Channel, ada: User, bob: User) -> None:
    refused = api(ada)("typing.relay", channel_id=general.pk, state="start", user_id=bob.pk)

    assert refused.said == (400, "invalid")
    assert typing_in(general) == []


@pytest.mark.parametrize("state", ["start", "stop"])
def test_a_stranger_is_told_that_there_is_no_such_channel(
    memory: str, api: Api, general: Channel, secret: Channel, ada: User, eve: User, state: str
) -> None:
    assert api(eve)("typing.relay", channel_id=general.pk, state=state).said == (404, "not_found")
    assert api(ada)("typing.relay", channel_id=secret.pk, state=state).said == (404, "not_found")
    assert typing_in(general) == typing_in(secret) == []


@pytest.mark.parametrize("state", ["start", "stop"])
def test_whoever_may_not_send_is_told_the_same(
    memory: str, api: Api, general: Channel, lounge: Channel, ada: User, state: str
) -> None:
    Channel.objects.filter(pk=general.pk).update(archived_at=clock.now())
    call = api(ada)
    for channel, said in ((general, (409, "channel_archived")), (lounge, (403, "not_a_member"))):
        assert call("typing.relay", channel_id=channel.pk, state=state).said == said
        assert call("message.send", channel_id=channel.pk, body="hello").said == said
        assert typing_in(channel) == []


def test_60_are_let_through_in_a_minute_over_all_channels(
    memory: str, still: Clock, api: Api, general: Channel, direct: Channel, ada: User, bob: User
) -> None:
    doors = [api(ada), api(ada)]  # two tabs
    channels = [general, direct]
    for number in range(59):
        assert doors[number % 2]("typing.relay", channel_id=channels[number % 2].pk, state="start").status == 200
    assert doors[0]("typing.relay", channel_id=general.pk, state="stop").status == 200
    before = typing_in(general)

    refused = doors[1]("typing.relay", channel_id=general.pk, state="start")

    assert (refused.said, refused.body["retry_after"]) == ((429, "rate_limited"), 1)
    assert typing_in(general) == before == []
    assert api(bob)("typing.relay", channel_id=general.pk, state="start").status == 200
    still.advance(1)
    assert doors[1]("typing.relay", channel_id=general.pk, state="start").status == 200


def test_a_refusal_takes_no_token(
    memory: str, still: Clock, api: Api, settings: Any, general: Channel, secret: Channel, ada: User
) -> None:
    settings.TYPING_PER_MINUTE = 1
    call = api(ada)
    for _ in range(5):
        assert call("typing.relay", channel_id=secret.pk, state="start").status == 404

    assert call("typing.relay", channel_id=general.pk, state="start").status == 200
    assert call("typing.relay", channel_id=general.pk, state="start").status == 429


def test_it_costs_the_same_queries_in_a_large_channel(
    memory: str, api: Api, general: Channel, ada: User, django_assert_num_queries: Any
) -> None:
    call = api(ada)
    call("user.me")
    # Token, channel.
    with django_assert_num_queries(2):
        call("typing.relay", channel_id=general.pk, state="start")
