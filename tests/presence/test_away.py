"""presence.set_away: whether who is here is active. It never makes anybody be here."""

from typing import Any

from groups.models import Channel, User
from presence import announcing
from presence.queries import presence_of
from realtime.backends import leases
from tests.cast import Api
from tests.presence.conftest import Ear, attach
from tests.realtime.conftest import Clock


def test_away_and_back_are_told_and_answered(stores: str, api: Api, general: Channel, ada: User, bob: User) -> None:
    attach(ada)
    announcing.announce()
    call, ear = api(ada), Ear(bob)

    away, back = (call("presence.set_away", away=away).body["presence"] for away in (True, False))

    assert (away["status"], back["status"]) == ("away", "online")
    assert ear.told == [away, back]
    assert presence_of([ada.pk]) == [back]


def test_a_repeat_tells_nobody(stores: str, api: Api, general: Channel, ada: User, bob: User) -> None:
    attach(ada)
    announcing.announce()
    call, ear = api(ada), Ear(bob)
    for _ in range(3):
        assert call("presence.set_away", away=False).body["presence"]["status"] == "online"

    assert ear.told == []


def test_who_is_away_is_so_in_all_sessions(stores: str, api: Api, general: Channel, ada: User) -> None:
    for session in ("s_1", "s_2"):
        attach(ada, session)
    announcing.announce()
    call = api(ada)

    statuses = [
        call("presence.set_away", away=away, session=session).body["presence"]["status"]
        for session, away in [("s_1", True), ("s_2", True), ("s_1", False), ("s_3", True)]
    ]

    assert statuses == ["online", "away", "online", "online"]


def test_who_is_offline_stays_offline(stores: str, api: Api, general: Channel, ada: User, bob: User) -> None:
    call, ear = api(ada), Ear(bob)
    for away in (True, False):
        for more in ({}, {"session": "s_1"}):
            assert call("presence.set_away", away=away, **more).body["presence"]["status"] == "offline"
    announcing.announce()

    assert ear.told == []


def test_a_session_of_somebody_else_is_not_touched(
    stores: str, api: Api, general: Channel, ada: User, bob: User
) -> None:
    attach(ada, "s_ada")
    announcing.announce()

    assert api(bob)("presence.set_away", away=True, session="s_ada").body["presence"]["status"] == "offline"
    assert presence_of([ada.pk])[0]["status"] == "online"


def test_without_activity_somebody_is_away_and_a_report_brings_them_back(
    stores: str, still: Clock, api: Api, settings: Any, general: Channel, ada: User, bob: User
) -> None:
    held, ear = attach(ada), Ear(bob)
    announcing.announce()
    for _ in range(int(settings.AWAY_SECONDS / 5) + 1):
        still.advance(5)
        leases().renew([held])
        announcing.sweep()
    assert ear.of(ada) == ["online", "away"]

    assert api(ada)("presence.set_away", away=False).body["presence"]["status"] == "online"
    assert ear.of(ada) == ["online", "away", "online"]


def test_it_is_limited_per_minute(stores: str, still: Clock, api: Api, settings: Any, ada: User) -> None:
    settings.AWAY_PER_MINUTE = 2
    attach(ada)
    announcing.announce()
    call = api(ada)
    for away in (True, False):
        call("presence.set_away", away=away)

    refused = call("presence.set_away", away=True)

    assert refused.said == (429, "rate_limited")
    assert 0 < refused.body["retry_after"] <= 30
    assert presence_of([ada.pk])[0]["status"] == "online"
