"""From the leases to the streams: who comes and goes is told once, to whom it concerns, whatever fails in between."""

import asyncio
import logging
import threading
from typing import Any

import pytest
from django.db import connection

from groups.actions.workspaces import create_workspace
from groups.models import Channel, User, Workspace
from groups.replay import revise
from presence import announcing
from presence.announcing import announce
from presence.models import Presence
from presence.queries import presence_of
from realtime import backends
from realtime.backends import leases, streams
from realtime.errors import Unavailable
from realtime.hub import hub
from realtime.leases import CLAIM_SECONDS
from realtime.relay import user_stream
from realtime.streams import REDACTED
from tests.cast import at_once, bring, make_user
from tests.presence.conftest import Ear, attach
from tests.realtime.conftest import Clock
from tests.sockets import eventually

LEASE_AND_MORE = 120.0


def status_of(user: User) -> str:
    return presence_of([user.pk])[0]["status"]


def test_who_comes_is_told_to_who_shares_a_workspace_and_to_themself(
    stores: str, general: Channel, ada: User, bob: User, gus: User, eve: User
) -> None:
    ears = {user: Ear(user) for user in (ada, bob, gus, eve)}
    attach(ada)
    announce()

    assert {user.username: ear.of(ada) for user, ear in ears.items()} == {
        "ada": ["online"],
        "bob": ["online"],
        "gus": [],
        "eve": [],
    }
    assert set(ears[bob].told[0]) == {"user_id", "status", "status_text", "status_emoji", "version"}
    assert presence_of([ada.pk]) == ears[bob].told


def test_a_repeat_tells_nothing(stores: str, general: Channel, ada: User, bob: User) -> None:
    ear = Ear(bob)
    attach(ada)
    announce()
    attach(ada)
    announce()

    assert ear.of(ada) == ["online"]


def test_who_goes_is_told_once(stores: str, general: Channel, ada: User, bob: User) -> None:
    held, ear = attach(ada), Ear(bob)
    announce()
    leases().drop(held)
    announce()
    announce()

    assert ear.of(ada) == ["online", "offline"]
    assert status_of(ada) == "offline"


def test_who_leaves_without_a_word_is_told_by_the_sweep_after_the_lease(
    stores: str, still: Clock, general: Channel, ada: User, bob: User
) -> None:
    held, ear = attach(ada), Ear(bob)
    announce()
    leases().detach(held)
    for _ in range(int(LEASE_AND_MORE / 5)):
        still.advance(5)
        announcing.sweep()

    assert ear.of(ada) == ["online", "offline"]


def test_of_a_round_each_change_is_told(stores: str, workspace: Workspace, ada: User) -> None:
    people = [bring(make_user(f"user{number}"), workspace) for number in range(10)]
    ear = Ear(ada)
    for user in people:
        attach(user)
    announce()

    assert {data["user_id"] for data in ear.told} == {user.pk for user in people}
    assert len(ear.told) == len(people)


def test_several_rounds_are_told_by_one_call(
    memory: str, workspace: Workspace, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "CHANGES_AT_ONCE", 3)
    people = [bring(make_user(f"user{number}"), workspace) for number in range(7)]
    ear = Ear(ada)
    for user in people:
        attach(user)
    announce()

    assert len(ear.told) == 7


@pytest.mark.django_db(transaction=True)
def test_two_announcers_at_once_tell_each_change_once(
    stores: str, workspace: Workspace, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "CHANGES_AT_ONCE", 2)
    people = [bring(make_user(f"user{number}"), workspace) for number in range(12)]
    ear = Ear(ada)
    for user in people:
        attach(user)
    at_once(*[announce] * 3)
    announce()

    assert sorted(data["user_id"] for data in ear.told) == sorted(user.pk for user in people)
    assert Presence.objects.here().count() == len(people)


def test_a_failure_between_append_and_confirm_is_repeated_without_a_second_event(
    stores: str, still: Clock, general: Channel, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = Ear(bob)
    attach(ada)
    with monkeypatch.context() as broken:
        broken.setattr(leases(), "confirm", _away)
        with pytest.raises(Unavailable):
            announce()
    announce()
    assert ear.of(ada) == ["online"]
    assert leases().claim(10) == []

    still.advance(CLAIM_SECONDS)
    announce()

    assert ear.of(ada) == ["online"]
    still.advance(CLAIM_SECONDS)
    assert leases().claim(10) == []


def test_a_failure_before_the_append_loses_nothing(
    stores: str, still: Clock, general: Channel, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = Ear(bob)
    attach(ada)
    with monkeypatch.context() as broken:
        broken.setattr(streams(), "append", _away)
        with pytest.raises(Unavailable):
            announce()
    assert ear.told == []

    still.advance(CLAIM_SECONDS)
    announcing.sweep()

    assert ear.of(ada) == ["online"]


def test_a_change_during_the_telling_is_told_after_it(
    stores: str, general: Channel, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, ear, append = attach(ada), Ear(bob), streams().append

    def append_while_she_goes(entries: Any) -> Any:
        leases().drop(held)
        return append(entries)

    monkeypatch.setattr(streams(), "append", append_while_she_goes)
    announce()

    assert ear.of(ada) == ["online", "offline"]


def test_a_list_says_what_is_being_told_already(
    stores: str, general: Channel, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a boot between the event and its note in the database would stay behind for ever."""
    attach(ada)
    seen = []
    monkeypatch.setattr(announcing, "ring", lambda placed: seen.extend(presence_of([ada.pk])))
    announce()

    assert [one["status"] for one in seen] == ["online"]
    assert seen == presence_of([ada.pk])


def test_who_was_told_to_be_here_stays_it_in_a_new_store_until_a_lease_has_passed(
    stores: str, still: Clock, general: Channel, ada: User, bob: User, grace: User
) -> None:
    attach(ada)
    attach(grace)
    announce()
    before = presence_of([ada.pk])
    _lose_the_stores()
    ear = Ear(bob)

    assert presence_of([ada.pk]) == before
    announcing.sweep()
    assert presence_of([ada.pk]) == before
    held = attach(ada)
    for _ in range(int(LEASE_AND_MORE / 5)):
        still.advance(5)
        leases().renew([held])
        announcing.sweep()

    assert (ear.of(ada), ear.of(grace)) == ([], ["offline"])
    assert (status_of(ada), status_of(grace)) == ("online", "offline")


def test_a_crash_and_a_loss_of_the_store_right_after_the_telling_take_nobody_away(
    stores: str, still: Clock, general: Channel, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(ada)
    with monkeypatch.context() as broken:
        broken.setattr(announcing, "ring", _away)
        with pytest.raises(Unavailable):
            announce()
    before = presence_of([ada.pk])
    _lose_the_stores()
    announcing.sweep()

    assert presence_of([ada.pk]) == before
    assert before[0]["status"] == "online"


def test_versions_rise_over_a_loss_of_the_store(stores: str, still: Clock, general: Channel, ada: User) -> None:
    attach(ada)
    announce()
    [before] = presence_of([ada.pk])
    _lose_the_stores()
    announcing.sweep()
    leases().end(user_stream(ada.pk))
    announce()
    [after] = presence_of([ada.pk])

    assert (after["status"], after["version"] > before["version"]) == ("offline", True)


def test_an_account_that_is_gone_holds_nobody_up(stores: str, general: Channel, ada: User, bob: User) -> None:
    ear = Ear(bob)
    stranger = make_user("stranger")
    attach(stranger)
    stranger.delete()
    attach(ada)
    announce()

    assert [data["user_id"] for data in ear.told] == [ada.pk]
    assert leases().claim(10) == []


def test_a_round_of_thirty_costs_the_queries_of_one_of_two(
    memory: str, workspace: Workspace, ada: User, django_assert_max_num_queries: Any
) -> None:
    people = [bring(make_user(f"user{number}"), workspace) for number in range(32)]
    for some in (people[:2], people[2:]):
        for user in some:
            attach(user)
        # Texts, accounts, workspaces, guests, their people, direct channels; and the note of what was told.
        with django_assert_max_num_queries(12):
            announce()


def test_changes_of_the_same_moment_share_a_round(
    memory: str, workspace: Workspace, ada: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ANNOUNCE_SECONDS = 0.05
    rounds: list[int] = []
    done = threading.Event()

    def count() -> None:
        rounds.append(1)
        done.set()

    monkeypatch.setattr(announcing, "announce", count)

    async def come_together() -> None:
        hub.start(asyncio.get_running_loop())
        try:
            for _ in range(50):
                announcing.soon()
                await asyncio.to_thread(announcing.soon)
            assert await asyncio.to_thread(done.wait, 10)
            announcing.soon()
            await asyncio.sleep(0.3)
        finally:
            hub.stop()

    asyncio.run(come_together())

    assert 2 <= len(rounds) <= 5


@pytest.mark.django_db(transaction=True)
def test_those_who_come_while_others_are_told_share_the_next_round(
    memory: str, workspace: Workspace, ada: User, bob: User, caplog: pytest.LogCaptureFixture
) -> None:
    ear, coming, cid = Ear(bob), [bob], bring(make_user("cid"), workspace)

    def somebody_comes(execute: Any, *query: Any) -> Any:
        if coming:
            attach(coming.pop())
        return execute(*query)

    attach(ada)
    loop = asyncio.new_event_loop()
    hub.start(loop)
    try:
        with caplog.at_level(logging.DEBUG, logger="presence"):
            with connection.execute_wrapper(somebody_comes):
                announce()
            attach(cid)
            loop.run_until_complete(asyncio.to_thread(eventually, lambda: len(ear.told) == 3))
    finally:
        hub.stop()
        loop.close()

    assert [record.getMessage() for record in caplog.records if "told" in record.message] == [
        "presence: told 1 changes to 1 streams",
        "presence: told 2 changes to 2 streams",
    ]


def test_rounds_are_logged_with_their_counts(
    memory: str, general: Channel, ada: User, bob: User, caplog: pytest.LogCaptureFixture
) -> None:
    Ear(bob)
    attach(ada)
    with caplog.at_level(logging.DEBUG, logger="presence"):
        announce()

    assert "told 1 changes to 1 streams" in caplog.text


def test_a_replay_tells_nothing_of_who_shares_no_workspace_any_more(
    memory: str, workspace: Workspace, ada: User, bob: User
) -> None:
    at = streams().open(user_stream(bob.pk))
    attach(ada)
    attach(bob)
    announce()
    create_workspace(creator=bob, name="Other")
    entries = streams().read(user_stream(bob.pk), at)
    assert revise(bob.pk, entries) == entries

    workspace.members.filter(user=ada).delete()
    bodies = {entry.about["user"]: entry.body for _, entry in revise(bob.pk, entries)}

    assert bodies[ada.pk] == REDACTED
    assert bodies[bob.pk] != REDACTED


def _away(*arguments: Any) -> Any:
    raise Unavailable("Redis")


def _lose_the_stores() -> None:
    if (connection := backends.redis()) is not None:
        connection.client.flushdb()
    backends.streams.cache_clear()
    backends.leases.cache_clear()
