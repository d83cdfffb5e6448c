"""client.boot: everything that a client needs to draw itself."""

from typing import Any

import pytest

from groups.actions.direct import open_direct_channel
from groups.models import Channel, User, Workspace
from realtime.backends import leases
from realtime.errors import Unavailable
from tests.cast import Api, bring, make_channel, make_user, say


def test_the_boot_has_me_my_workspaces_my_channels_and_a_place_in_my_stream(
    api: Api, workspace: Workspace, general: Channel, secret: Channel, direct: Channel, ada: User, bob: User
) -> None:
    message = say(bob, general)

    boot = api(ada)("client.boot").body

    assert boot["me"]["username"] == "ada"
    assert [row["id"] for row in boot["workspaces"]] == [workspace.pk]
    rows = {row["id"]: row for row in boot["channels"]}
    assert set(rows) == {general.pk, direct.pk}
    state = {name: rows[general.pk][name] for name in ("last_read_id", "unread_count", "mention_count")}
    assert state == {"last_read_id": 0, "unread_count": 1, "mention_count": 0}
    assert rows[general.pk]["latest_message_id"] == message.pk
    assert (boot["seq"], boot["epoch"][:2]) == (0, "e_")


def test_a_newcomer_sees_what_is_open_to_them_and_nothing_else(
    api: Api, workspace: Workspace, general: Channel, eve: User
) -> None:
    boot = api(eve)("client.boot").body

    assert (boot["workspaces"], boot["open_workspaces"], boot["channels"]) == ([], [], [])
    assert "Engines" not in str(boot)


def test_the_channels_of_the_boot_are_those_of_the_list(api: Api, general: Channel, direct: Channel, ada: User) -> None:
    call = api(ada)

    assert call("client.boot").body["channels"] == call("channel.list").body["channels"]


def test_two_boots_of_a_quiet_user_name_the_same_place(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    first, second = call("client.boot").body, call.get("client.boot").body

    assert (first["epoch"], first["seq"]) == (second["epoch"], second["seq"])


def test_the_boot_costs_the_same_queries_for_30_channels_as_for_two(
    api: Api,
    workspace: Workspace,
    general: Channel,
    direct: Channel,
    ada: User,
    bob: User,
    django_assert_num_queries: Any,
) -> None:
    call = api(ada)
    call("user.me")
    with django_assert_num_queries(QUERIES):
        call("client.boot")
    for number in range(23):
        say(ada, make_channel(ada, workspace, f"channel {number}"))
    for number in range(5):
        other = bring(make_user(f"other{number}"), workspace)
        say(ada, open_direct_channel(creator=ada, workspace_id=workspace.pk, other_ids=[bob.pk, other.pk]))

    with django_assert_num_queries(QUERIES):
        assert len(call("client.boot").body["channels"]) == 30


QUERIES = 12
"""Token, what I say of myself, my roles, my workspaces, open ones, my channels, people of the direct ones, unread
threads; for presence which workspaces are small, the people of these, those of direct channels, and what they say of
themselves."""


def test_a_boot_does_not_guess_who_is_there(api: Api, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told last may be older than the position from which the client goes on."""

    def away(*arguments: Any) -> None:
        raise Unavailable("Redis")

    monkeypatch.setattr(leases(), "statuses", away)
    door = api(ada)

    answer = door.client.get("/api/client.boot", headers=dict(door.headers))

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_sending_costs_the_same_queries_in_a_big_channel(
    api: Api, workspace: Workspace, general: Channel, ada: User, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        member = bring(make_user(f"member{number}"), workspace)
        general.members.create(user=member, joined_rev=1, joined_at=general.created_at)
    call = api(ada)
    call("user.me")

    # Token; savepoint, channel, membership, message, event, rev, release.
    with django_assert_num_queries(8):
        call("message.send", channel_id=general.pk, body="hello")
