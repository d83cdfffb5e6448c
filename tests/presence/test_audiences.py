"""Who is told of whom: in small workspaces all, in large ones who asks. A list says the same as the events."""

from collections.abc import Callable
from typing import Any

import pytest

from groups.actions.direct import open_direct_channel
from groups.actions.workspaces import create_workspace
from groups.models import Channel, User, Workspace, WorkspaceMember
from presence import actions, watching
from presence.announcing import announce
from presence.audiences import heard_of_by, told_of
from realtime import clock
from tests.cast import Api, bring, ids, make_user
from tests.presence.conftest import Ear, attach

MEMBERS = 4


@pytest.fixture
def large(settings: Any, workspace: Workspace, ada: User, bob: User, gus: User, mallory: User) -> Workspace:
    """The workspace with one member more than all are told of: grace, ada, bob, gus and mallory."""
    settings.PRESENCE_MEMBERS = MEMBERS
    assert workspace.members.count() == MEMBERS + 1
    return workspace


@pytest.fixture
def mallory(workspace: Workspace) -> User:
    return bring(make_user("mallory"), workspace)


def listed(api: Api, user: User, **params: Any) -> set[int]:
    return {one["user_id"] for one in api(user)("presence.list", **params).body["presence"]}


@pytest.fixture
def agree(api: Api) -> Callable[..., None]:
    """Asserts who is told of somebody, and that exactly they have them in their lists and boots."""

    def check(about: User, *told: User, of: list[User]) -> None:
        ears = {user: Ear(user) for user in of}
        attach(about)
        announce()
        assert {user.username for user, ear in ears.items() if ear.of(about)} == {user.username for user in told}
        for user in of:
            booted = {one["user_id"] for one in api(user)("client.boot").body["presence"]}
            assert booted == listed(api, user) == heard_of_by(user)
            assert (about.pk in booted) == (user in told)

    return check


def test_up_to_the_limit_all_members_are_told(
    memory: str,
    settings: Any,
    workspace: Workspace,
    grace: User,
    ada: User,
    bob: User,
    gus: User,
    eve: User,
    agree: Callable[..., None],
) -> None:
    settings.PRESENCE_MEMBERS = MEMBERS
    assert workspace.members.count() == MEMBERS

    agree(ada, grace, ada, bob, of=[grace, ada, bob, gus, eve])
    agree(gus, grace, ada, bob, gus, of=[grace, ada, bob, gus, eve])


def test_above_it_only_the_user_is_told(
    memory: str, large: Workspace, grace: User, ada: User, bob: User, gus: User, agree: Callable[..., None]
) -> None:
    agree(ada, ada, of=[grace, ada, bob, gus])


def test_whom_one_shares_a_direct_channel_with_is_told(
    stores: str, large: Workspace, ada: User, bob: User, gus: User, mallory: User, agree: Callable[..., None]
) -> None:
    open_direct_channel(creator=ada, workspace_id=large.pk, other_ids=[bob.pk, mallory.pk])

    agree(ada, ada, bob, mallory, of=[ada, bob, gus, mallory])


def test_who_shares_a_small_workspace_too_is_told(
    memory: str, large: Workspace, ada: User, bob: User, gus: User, agree: Callable[..., None]
) -> None:
    small = create_workspace(creator=bob, name="Small")
    bring(ada, small)

    agree(ada, ada, bob, of=[ada, bob, gus])


def test_who_watches_is_told(
    stores: str, large: Workspace, ada: User, bob: User, gus: User, agree: Callable[..., None]
) -> None:
    actions.watch(watcher=bob, user_ids=[ada.pk])

    agree(ada, ada, bob, of=[ada, bob, gus])


def test_somebody_who_left_the_workspace_is_not_told_any_more_whatever_they_shared(
    stores: str, large: Workspace, ada: User, bob: User, gus: User, agree: Callable[..., None]
) -> None:
    open_direct_channel(creator=ada, workspace_id=large.pk, other_ids=[bob.pk])
    actions.watch(watcher=gus, user_ids=[ada.pk])
    large.members.filter(user__in=[bob, gus]).delete()
    make_large_again = [bring(make_user(f"more{number}"), large) for number in range(3)]

    agree(ada, ada, of=[ada, bob, gus, *make_large_again])


def test_a_watch_answers_the_presence_of_those_whom_the_caller_may_see(
    stores: str, api: Api, large: Workspace, ada: User, bob: User, gus: User, eve: User
) -> None:
    attach(ada)
    attach(eve)
    announce()

    answer = api(bob)("presence.watch", user_ids=[ada.pk, gus.pk, eve.pk, 2**62]).body["presence"]

    assert [(one["user_id"], one["status"]) for one in answer] == sorted([(ada.pk, "online"), (gus.pk, "offline")])
    assert heard_of_by(bob) == ids(bob, ada, gus)
    assert watching.watched_by(bob.pk) == ids(ada, gus)
    assert told_of([eve.pk]) == {eve.pk: {eve.pk}}


def test_a_stranger_watches_nobody(stores: str, api: Api, large: Workspace, ada: User, eve: User) -> None:
    assert api(eve)("presence.watch", user_ids=[ada.pk]).body == {"presence": []}

    ear = Ear(eve)
    attach(ada)
    announce()
    assert ear.told == []


def test_a_watch_replaces_the_one_before(
    stores: str, api: Api, large: Workspace, ada: User, bob: User, gus: User, agree: Callable[..., None]
) -> None:
    call = api(bob)
    call("presence.watch", user_ids=[ada.pk])
    call("presence.watch", user_ids=[gus.pk])

    agree(ada, ada, of=[ada, bob])
    agree(gus, gus, bob, of=[gus, bob])


def test_a_watch_lasts_its_time_unless_it_is_asked_again(
    stores: str, passes: Callable[[float], None], settings: Any, large: Workspace, ada: User, bob: User
) -> None:
    settings.PRESENCE_WATCH_SECONDS = 1
    actions.watch(watcher=bob, user_ids=[ada.pk])
    passes(0.7)
    actions.watch(watcher=bob, user_ids=[ada.pk])
    passes(0.7)
    assert told_of([ada.pk]) == {ada.pk: ids(ada, bob)}

    passes(0.4)

    assert told_of([ada.pk]) == {ada.pk: ids(ada)}
    assert heard_of_by(bob) == ids(bob)


def test_at_most_500_are_watched_at_once(memory: str, api: Api, large: Workspace, ada: User, bob: User) -> None:
    some = list(range(10**6, 10**6 + 499))
    call = api(bob)

    assert call("presence.watch", user_ids=[*some, ada.pk]).status == 200
    assert call("presence.watch", user_ids=[*some, ada.pk, 1]).said == (400, "invalid")
    assert heard_of_by(bob) == ids(bob, ada)


def test_watches_are_limited_per_minute(memory: str, api: Api, settings: Any, large: Workspace, bob: User) -> None:
    settings.WATCH_PER_MINUTE = 2
    call = api(bob)

    answers = [call("presence.watch", user_ids=[]) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[-1].body["retry_after"] > 0


def test_a_list_can_be_of_one_workspace(
    memory: str, api: Api, workspace: Workspace, ada: User, bob: User, gus: User, grace: User, eve: User
) -> None:
    other = create_workspace(creator=bob, name="Other")
    bring(eve, other)

    assert listed(api, bob) == ids(grace, ada, bob, gus, eve)
    assert listed(api, bob, workspace_id=other.pk) == ids(bob, eve)
    assert api(ada)("presence.list", workspace_id=other.pk).said == (404, "not_found")


def test_a_list_of_users_has_those_who_share_a_workspace_however_large(
    memory: str, api: Api, large: Workspace, ada: User, bob: User, gus: User, eve: User
) -> None:
    everybody = [ada.pk, bob.pk, gus.pk, eve.pk, 2**62]
    other = create_workspace(creator=bob, name="Other")

    assert listed(api, bob, user_ids=everybody) == ids(ada, bob, gus)
    assert listed(api, eve, user_ids=everybody) == ids(eve)
    assert listed(api, bob, user_ids=everybody, workspace_id=other.pk) == ids(bob)
    assert listed(api, bob, user_ids=[]) == set()


def test_a_query_names_users_in_either_way(memory: str, api: Api, large: Workspace, ada: User, bob: User) -> None:
    call = api(bob)
    listed = call("presence.list", user_ids=[ada.pk, bob.pk]).body

    assert call.get("presence.list", user_ids=f"{ada.pk},{bob.pk}").body == listed
    assert call.get("presence.list", user_ids=[ada.pk, bob.pk]).body == listed
    for wrong in ("", "x", "1,", "1, 2", "-1", ["1", "x"]):
        assert call.get("presence.list", user_ids=wrong).said == (400, "invalid"), wrong
    assert call.get("presence.list", workspace_id=[large.pk, large.pk]).said == (400, "invalid")


def test_a_list_shows_what_is_told_of_everybody_in_it(
    stores: str, api: Api, general: Channel, ada: User, bob: User
) -> None:
    attach(ada)
    announce()
    actions.set_status_text(user=bob, text="lunch")

    shown = {one["user_id"]: one for one in api(bob)("presence.list").body["presence"]}

    assert (shown[ada.pk]["status"], shown[bob.pk]["status"], shown[bob.pk]["status_text"]) == (
        "online",
        "offline",
        "lunch",
    )
    assert shown[bob.pk]["version"] == 0


def test_in_a_workspace_of_5000_a_change_goes_to_who_watches_alone(
    stores: str, workspace: Workspace, ada: User, bob: User, django_assert_max_num_queries: Any
) -> None:
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(4997))
    rev = workspace.members.count()
    WorkspaceMember.objects.bulk_create(
        WorkspaceMember(workspace=workspace, user=user, joined_rev=rev, joined_at=clock.now()) for user in users
    )
    assert workspace.members.count() == 5000
    ears = {user: Ear(user) for user in [*users[:50], ada, bob]}
    actions.watch(watcher=users[7], user_ids=[ada.pk])
    attach(ada)
    with django_assert_max_num_queries(12):
        announce()

    assert {user.username for user, ear in ears.items() if ear.told} == {"ada", "user7"}
    assert heard_of_by(users[7]) == ids(users[7], ada)
    assert heard_of_by(bob) == ids(bob)
