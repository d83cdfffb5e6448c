"""What people say beside their status: set, shown, told, and over at its time."""

from datetime import timedelta
from typing import Any

import pytest

from groups.models import Channel, User
from presence import actions, announcing
from presence.models import Presence
from presence.queries import presence_of
from realtime import clock
from realtime.backends import leases
from realtime.doorbell import ring
from realtime.errors import Unavailable
from tests.cast import Api, at_once, stored
from tests.presence.conftest import Ear, attach
from tests.realtime.conftest import Clock

A_MOMENT = 1.5


def said_by(user: User) -> tuple[str, str]:
    [one] = presence_of([user.pk])
    return one["status_text"], one["status_emoji"]


@pytest.fixture
def told(django_capture_on_commit_callbacks: Any) -> Any:
    """`with told():` as if the block were a request of its own, whose telling follows its commit."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_a_text_is_told_to_others_and_shown_in_lists(
    stores: str, api: Api, general: Channel, ada: User, bob: User, told: Any
) -> None:
    attach(ada)
    announcing.announce()
    ear = Ear(bob)
    with told():
        answer = api(ada)("presence.set_status_text", status_text="lunch", status_emoji="🍜")
    announcing.announce()

    assert ear.texts_of(ada) == [("lunch", "🍜")]
    shown = api(bob)("presence.list", user_ids=[ada.pk]).body["presence"]
    assert shown == ear.told
    assert answer.body["presence"] == shown[0] | {"version": answer.body["presence"]["version"]}
    assert ear.of(ada) == ["online"]


def test_who_is_offline_can_say_something_and_stays_offline(
    stores: str, api: Api, general: Channel, ada: User, bob: User, told: Any
) -> None:
    ear = Ear(bob)
    with told():
        answer = api(ada)("presence.set_status_text", status_text="on holiday")
    announcing.announce()

    assert answer.body["presence"]["status"] == "offline"
    assert (ear.of(ada), ear.texts_of(ada)) == (["offline"], [("on holiday", "")])


def test_an_empty_text_clears_it(stores: str, api: Api, general: Channel, ada: User, bob: User, told: Any) -> None:
    call = api(ada)
    with told():
        call("presence.set_status_text", status_text="lunch", status_emoji="🍜", expires_in=60)
    announcing.announce()
    ear = Ear(bob)
    with told():
        assert call("presence.set_status_text", status_text="").body["presence"]["status_text"] == ""
    announcing.announce()

    assert ear.texts_of(ada) == [("", "")]
    assert Presence.objects.get(user=ada).shown == ("", "", None)


def test_an_emoji_alone_is_a_status_too(api: Api, memory: str, ada: User) -> None:
    api(ada)("presence.set_status_text", status_text="", status_emoji="🌴", expires_in=60)

    assert said_by(ada) == ("", "🌴")


def test_a_text_is_one_line_without_spaces_around_it(api: Api, memory: str, ada: User) -> None:
    api(ada)("presence.set_status_text", status_text=" in\n a  meeting ", status_emoji=" 📅 ")

    assert said_by(ada) == ("in a meeting", "📅")


def test_spaces_are_no_text(api: Api, memory: str, ada: User) -> None:
    assert api(ada)("presence.set_status_text", status_text=" \n ", expires_in=60).status == 200

    assert said_by(ada) == ("", "")


@pytest.mark.parametrize(("name", "most"), [("status_text", 100), ("status_emoji", 32)])
def test_it_may_be_as_long_as_its_limit(api: Api, memory: str, ada: User, name: str, most: int) -> None:
    call, params = api(ada), {"status_text": "away"}

    assert call("presence.set_status_text", **params | {name: "字" * most}).status == 200
    assert call("presence.set_status_text", **params | {name: "字" * (most + 1)}).said == (400, "invalid")
    assert presence_of([ada.pk])[0][name] == "字" * most  # type: ignore[literal-required]


def test_it_ends_at_its_time_everywhere_and_the_end_is_told_once(
    stores: str, still: Clock, api: Api, general: Channel, ada: User, bob: User, told: Any
) -> None:
    with told():
        api(ada)("presence.set_status_text", status_text="lunch", expires_in=60)
    announcing.announce()
    ear = Ear(bob)
    still.advance(59.9)
    announcing.sweep()
    assert (said_by(ada), ear.told) == (("lunch", ""), [])

    still.advance(0.1)
    assert said_by(ada) == ("", "")
    assert api(ada)("client.boot").body["me"]["status_text"] == ""
    announcing.sweep()
    still.advance(60)
    announcing.sweep()

    assert ear.texts_of(ada) == [("", "")]


@pytest.mark.django_db(transaction=True)
def test_of_two_sweeps_at_once_one_tells_the_end(
    stores: str, still: Clock, general: Channel, ada: User, bob: User
) -> None:
    actions.set_status_text(user=ada, text="lunch", seconds=60)
    announcing.announce()
    ear = Ear(bob)
    still.advance(60)
    at_once(*[announcing.sweep] * 4)
    announcing.announce()

    assert ear.texts_of(ada) == [("", "")]


def test_a_text_that_replaced_one_does_not_end_with_it(memory: str, still: Clock, ada: User) -> None:
    actions.set_status_text(user=ada, text="lunch", seconds=60)
    actions.set_status_text(user=ada, text="holiday")
    still.advance(60)
    announcing.sweep()

    assert said_by(ada) == ("holiday", "")


def test_a_text_that_a_crash_left_untold_is_told_by_the_next_sweep(
    stores: str, still: Clock, general: Channel, ada: User, bob: User
) -> None:
    """A test's transaction never commits, which is as if the process had died right after it."""
    ear = Ear(bob)
    actions.set_status_text(user=ada, text="lunch")
    announcing.sweep()
    assert ear.told == []

    still.advance(A_MOMENT)
    announcing.sweep()
    still.advance(A_MOMENT)
    announcing.sweep()

    assert ear.texts_of(ada) == [("lunch", "")]


def test_while_the_leases_are_away_a_text_is_kept_and_told_later(
    memory: str,
    still: Clock,
    api: Api,
    general: Channel,
    ada: User,
    bob: User,
    told: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ear = Ear(bob)

    def away(*arguments: Any) -> None:
        raise Unavailable("Redis")

    with monkeypatch.context() as broken, told():
        broken.setattr(leases(), "tell_again", away)
        broken.setattr(leases(), "statuses", away)
        assert api(ada)("presence.set_status_text", status_text="lunch").body["presence"]["status_text"] == "lunch"
    still.advance(A_MOMENT)
    announcing.sweep()

    assert ear.texts_of(ada) == [("lunch", "")]


def test_a_text_that_changes_while_it_is_told_is_told_again(
    memory: str, still: Clock, general: Channel, ada: User, bob: User, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = Ear(bob)
    with told():
        actions.set_status_text(user=ada, text="first")

    def ring_late(placed: Any) -> None:
        monkeypatch.setattr(announcing, "ring", ring)
        still.advance(0.1)
        actions.set_status_text(user=ada, text="second")  # never told by itself
        ring(placed)

    monkeypatch.setattr(announcing, "ring", ring_late)
    announcing.announce()
    still.advance(A_MOMENT)
    announcing.sweep()

    assert ear.texts_of(ada) == [("first", ""), ("second", "")]


def test_the_boot_has_what_i_say_and_until_when(api: Api, memory: str, still: Clock, ada: User) -> None:
    call = api(ada)
    own = ("status_text", "status_emoji", "status_expires_at")
    assert [call("client.boot").body["me"][name] for name in own] == ["", "", None]

    call("presence.set_status_text", status_text="lunch", status_emoji="🍜", expires_in=60)

    ends_at = clock.stamp(clock.now() + timedelta(seconds=60))
    assert [call("client.boot").body["me"][name] for name in own] == ["lunch", "🍜", ends_at]


def test_texts_are_limited_per_minute(api: Api, memory: str, still: Clock, settings: Any, ada: User, bob: User) -> None:
    settings.STATUS_TEXT_PER_MINUTE = 3
    call = api(ada)
    for number in range(3):
        assert call("presence.set_status_text", status_text=f"text {number}").status == 200
    before = stored()

    refused = call("presence.set_status_text", status_text="one more")

    assert (refused.said, refused.body["retry_after"]) == ((429, "rate_limited"), 20)
    assert stored() == before
    assert api(bob)("presence.set_status_text", status_text="hello").status == 200
    still.advance(20)
    assert call("presence.set_status_text", status_text="one more").status == 200
