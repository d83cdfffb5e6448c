"""Teachers: the domains that they look after, groups that they start and stop, and keys for classes."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from groups.mesh import finding, hosting, members, telling
from groups.mesh.classrooms import assign_domain, end_key, take_domain
from groups.mesh.keys import forget_all, key_of
from groups.models import AuditEntry, MeshDomain, MeshGroup, MeshKey, MeshNode, User, Workspace
from groups.models.mesh import domain_of
from groups.roles import RIGHTS, Deed
from tests.cast import Answer, Api, Door, at_once, bring, make_user, stored

HOME = domain_of("127.0.0.1")
HOST = "0123456789abcdef0123456789abcdef"
REASON = "It is their school"


@pytest.fixture(autouse=True)
def _no_key_is_remembered() -> None:
    forget_all()


@pytest.fixture
def school(workspace: Workspace) -> MeshDomain:
    """A domain that grace's workspace looks after."""
    return MeshDomain.objects.create(name="school", workspace=workspace)


@pytest.fixture
def nora(db: None) -> User:
    """Staff of the site, and a member of nothing."""
    return make_user("nora", is_staff=True)


@pytest.fixture
def other(eve: User, api: Api) -> Workspace:
    """Eve's own workspace, which has nothing to do with grace's."""
    return Workspace.objects.get(pk=api(eve)("workspace.create", name="Elsewhere").body["workspace"]["id"])


@pytest.fixture
def n1(school: MeshDomain) -> MeshGroup:
    """A group that some editor hosts."""
    return hosting.create_group(domain="school", name=HOST, host_id=HOST, key="setting 1")


def join(group: MeshGroup, node_id: str) -> MeshNode:
    return members.join_group(group_id=str(group.pk), domain=group.domain, node_id=node_id).node


def report(group: MeshGroup, node_id: str, **values: str) -> None:
    data: Any = [{"key": key, "value": value} for key, value in values.items()]
    telling.report_data(group_id=str(group.pk), domain=group.domain, node_id=node_id, data=data)


def fire(group: MeshGroup, node_id: str, *names: str) -> None:
    events = [telling.Fired(name, f"2026-04-28T00:00:00.{index:03d}Z") for index, name in enumerate(names)]
    telling.fire_events(group_id=str(group.pk), domain=group.domain, node_id=node_id, events=events)


def start(door: Door, **more: Any) -> Answer:
    return door("classroom.start_group", **{"domain": "school", "host_id": HOST} | more)


def test_an_owner_takes_the_domain_of_their_address_once(api: Api, grace: User, workspace: Workspace) -> None:
    door = api(grace)
    assert door("classroom.domains").body["own"] == {
        "name": HOME,
        "taken": False,
        "workspaces": [{"id": workspace.pk, "name": "Engines"}],
    }

    taken = door("classroom.take_domain", workspace_id=workspace.pk)
    again = door("classroom.take_domain", workspace_id=workspace.pk)

    assert taken.body == again.body
    assert taken.body["domain"] == {
        "name": HOME,
        "polls": False,
        "workspace": {"id": workspace.pk, "name": "Engines"},
    }
    assert door("classroom.domains").body["domains"] == [taken.body["domain"]]


def test_a_domain_that_another_workspace_has_is_not_taken(
    api: Api, grace: User, eve: User, workspace: Workspace, other: Workspace
) -> None:
    api(grace)("classroom.take_domain", workspace_id=workspace.pk)
    before = stored()["groups.MeshDomain"]

    assert api(eve)("classroom.take_domain", workspace_id=other.pk).said == (409, "domain_taken")
    assert stored()["groups.MeshDomain"] == before
    assert api(eve)("classroom.domains").body["domains"] == []


def test_nobody_takes_a_domain_by_writing_another_address_into_a_header(
    api: Api, grace: User, workspace: Workspace
) -> None:
    answer = api(grace).raw(
        "POST",
        "/api/classroom.take_domain",
        f'{{"workspace_id": {workspace.pk}}}'.encode(),
        **{"X-Forwarded-For": "203.0.113.9"},
    )

    assert answer.body["domain"]["name"] == HOME


def test_behind_proxies_of_ours_the_address_is_what_they_say(
    api: Api, grace: User, workspace: Workspace, settings: Any
) -> None:
    settings.MESH_TRUSTED_PROXIES = 1
    answer = api(grace).raw("POST", "/api/classroom.domains", b"{}", **{"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})

    assert answer.body["own"]["name"] == domain_of("203.0.113.9")


def test_the_domain_of_an_address_is_the_one_that_editors_are_told() -> None:
    assert (domain_of("127.0.0.1"), domain_of("203.0.113.9"), domain_of("")) == ("e34158cb", "ae00fafe", "4d52950")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_workspaces_that_take_a_domain_at_once_one_gets_it(
    api: Api, grace: User, eve: User, workspace: Workspace, other: Workspace
) -> None:
    doors = [(api(grace), workspace), (api(eve), other)] * 2
    jobs: list[Callable[[], Answer]] = [
        lambda door=door, place=place: door("classroom.take_domain", workspace_id=place.pk)  # type: ignore[misc]
        for door, place in doors
    ]

    answers = at_once(*jobs)

    winner = MeshDomain.objects.get().workspace_id
    assert sorted(answer.status for answer in answers) == [200, 200, 409, 409]
    assert {answer.body["domain"]["workspace"]["id"] for answer in answers if answer.status == 200} == {winner}


@pytest.mark.parametrize("role", ["member", "guest"])
def test_members_and_guests_see_nothing_of_classrooms(
    api: Api, workspace: Workspace, school: MeshDomain, n1: MeshGroup, role: Any
) -> None:
    door = api(bring(make_user("pat"), workspace, role=role))

    assert door("classroom.domains").body["domains"] == []
    assert door("classroom.groups", domain="school").said == (403, "forbidden")
    assert door("classroom.group", domain="school", group_id=str(n1.pk)).said == (403, "forbidden")


CALLS: dict[str, dict[str, Any]] = {
    "classroom.groups": {},
    "classroom.set_polls": {"polls": True},
    "classroom.start_group": {"host_id": "mine"},
    "classroom.group": {"group_id": True},
    "classroom.keep_group": {"group_id": True},
    "classroom.stop_group": {"group_id": True},
}


@pytest.mark.parametrize("name", CALLS)
def test_the_owner_of_another_workspace_does_not_find_the_domain(
    api: Api, eve: User, other: Workspace, n1: MeshGroup, name: str
) -> None:
    door, params = api(eve), {"domain": "school"} | CALLS[name]
    if "group_id" in params:
        params["group_id"] = str(n1.pk)
    before = stored()

    assert door(name, **params).said == (404, "not_found")
    assert {table: rows for table, rows in stored().items() if "Token" not in table} == {
        table: rows for table, rows in before.items() if "Token" not in table
    }


@pytest.mark.parametrize("name", CALLS)
def test_staff_of_the_site_look_after_every_domain_that_is_known(
    api: Api, nora: User, n1: MeshGroup, name: str
) -> None:
    params = {"domain": "school"} | CALLS[name]
    if "group_id" in params:
        params["group_id"] = str(n1.pk)

    # A group that an editor hosts is kept alive by that editor alone.
    assert api(nora)(name, **params).status == (403 if name == "classroom.keep_group" else 200)


def test_a_domain_that_nobody_has_is_for_staff_of_the_site_alone(api: Api, grace: User, nora: User) -> None:
    MeshDomain.objects.create(name="nobody's")

    assert api(grace)("classroom.groups", domain="nobody's").said == (404, "not_found")
    assert api(nora)("classroom.groups", domain="nobody's").status == 200


def test_the_list_tells_living_groups_first_and_how_many_are_in_them(
    api: Api, mia: User, school: MeshDomain, n1: MeshGroup
) -> None:
    join(n1, "a")
    join(n1, "b")
    over = hosting.create_group(domain="school", name="over", host_id="over")
    hosting.dissolve_group(group_id=str(over.pk), domain="school", host_id="over")
    hosting.create_group(domain="elsewhere", name="x", host_id="x")

    groups = api(mia)("classroom.groups", domain="school").body["groups"]

    assert [(group["name"], group["ended"], group["node_count"]) for group in groups] == [
        (HOST, None, 2),
        ("over", "host", 0),
    ]


def test_a_look_shows_nodes_values_and_events_and_where_to_follow(api: Api, mia: User, n1: MeshGroup) -> None:
    join(n1, "n2")
    report(n1, "n2", 明るさ="3", name="🎈")
    report(n1, HOST, score="1")
    fire(n1, "n2", "start", "stop")

    look = api(mia)("classroom.group", domain="school", group_id=str(n1.pk)).body

    assert [(node["id"], node["use_websocket"]) for node in look["nodes"]] == [("n2", True)]
    assert [(status["node_id"], status["values"]) for status in look["statuses"]] == [
        ("n2", [{"key": "明るさ", "value": "3"}, {"key": "name", "value": "🎈"}]),
        (HOST, [{"key": "score", "value": "1"}]),
    ]
    assert (look["epoch"] != "", look["seq"]) == (True, 0)  # nothing relays in tests
    assert look["group"]["mine"] is False


def test_a_group_of_another_domain_is_not_looked_at(api: Api, mia: User, school: MeshDomain) -> None:
    foreign = hosting.create_group(domain="elsewhere", name="x", host_id="x")

    for name in ("classroom.group", "classroom.stop_group"):
        assert api(mia)(name, domain="school", group_id=str(foreign.pk)).said == (404, "not_found")
    foreign.refresh_from_db()
    assert foreign.ended is None


def test_a_teacher_starts_a_group_and_a_repeat_gets_the_same(api: Api, mia: User, school: MeshDomain) -> None:
    door = api(mia)
    first, again = start(door, name="Class 3B"), start(door, name="another")

    assert first.body == again.body
    assert (first.body["group"]["name"], first.body["group"]["mine"]) == ("Class 3B", True)
    assert first.body["beat_seconds"] == 60
    assert MeshGroup.objects.count() == 1


def test_a_group_without_a_name_is_called_as_editors_call_theirs(api: Api, mia: User, school: MeshDomain) -> None:
    assert start(api(mia), name=" ").body["group"]["name"] == HOST


def test_a_school_that_polls_gets_groups_that_poll(api: Api, mia: User, school: MeshDomain) -> None:
    door = api(mia)
    said = [door("classroom.set_polls", domain="school", polls=True).body for _ in range(2)]

    assert said[0] == said[1]
    assert said[0]["domain"]["polls"] is True
    assert start(door).body["group"]["use_websocket"] is False


def test_a_teachers_group_lives_by_its_page_alone(api: Api, mia: User, grace: User, school: MeshDomain) -> None:
    group_id = start(api(mia)).body["group"]["id"]
    before = MeshGroup.objects.get().heartbeat_at

    assert api(grace)("classroom.keep_group", domain="school", group_id=group_id).said == (403, "not_the_host")
    with pytest.raises(finding.NotTheHost):
        # Lists tell the host's id to everybody with an API key.
        hosting.dissolve_group(group_id=group_id, domain="school", host_id=HOST, key="setting 1")
    assert MeshGroup.objects.get().heartbeat_at == before
    assert api(mia)("classroom.keep_group", domain="school", group_id=group_id).status == 200
    assert MeshGroup.objects.get().heartbeat_at > before


def test_a_page_that_opens_learns_of_all_groups_that_its_teacher_hosts_and_of_no_others(
    api: Api, mia: User, grace: User, workspace: Workspace, school: MeshDomain, n1: MeshGroup
) -> None:
    MeshDomain.objects.create(name="annexe", workspace=workspace)
    foreign = MeshDomain.objects.create(name="foreign", workspace=workspace)
    ids = [start(api(mia), domain=name, host_id=f"{name} 1").body["group"]["id"] for name in ("school", "annexe")]
    start(api(grace), host_id="another teacher's")
    stopped = start(api(mia), host_id="stopped").body["group"]["id"]
    api(mia)("classroom.stop_group", domain="school", group_id=stopped)
    start(api(mia), domain="foreign", host_id="not hers any more")
    MeshDomain.objects.filter(pk=foreign.pk).update(workspace=None)

    told = api(mia)("classroom.hosted_groups").body
    assert [group["id"] for group in told["groups"]] == ids
    assert told["beat_seconds"] == 60


def test_a_teacher_stops_any_group_once(api: Api, mia: User, n1: MeshGroup) -> None:
    door = api(mia)
    stopped = door("classroom.stop_group", domain="school", group_id=str(n1.pk))
    again = door("classroom.stop_group", domain="school", group_id=str(n1.pk))

    assert stopped.body["group"]["ended"] == "host"
    assert stopped.body == again.body
    assert door("classroom.keep_group", domain="school", group_id=str(n1.pk)).said == (404, "mesh_group_not_found")


def test_a_key_is_shown_once_and_works_in_its_domains_alone(
    api: Api, mia: User, workspace: Workspace, school: MeshDomain
) -> None:
    door = api(mia)
    made = door("classroom.make_key", workspace_id=workspace.pk, label=" 3B ", domains=["school"]).body["key"]
    [listed] = door("classroom.keys", workspace_id=workspace.pk).body["keys"]

    secret = made.pop("secret")
    assert listed == made
    assert (made["label"], made["domains"], made["created_by"]) == ("3B", ["school"], "Mia")
    assert secret not in str(stored())
    key = key_of(secret)
    assert key is not None
    assert (key.works_in("school"), key.works_in("elsewhere")) == (True, False)


@pytest.mark.parametrize("domains", [[], ["elsewhere"], ["school", "elsewhere"], ["school", ""]])
def test_no_key_is_made_for_domains_of_others_or_for_all(
    api: Api, mia: User, workspace: Workspace, school: MeshDomain, domains: list[str]
) -> None:
    MeshDomain.objects.create(name="elsewhere")

    answer = api(mia)("classroom.make_key", workspace_id=workspace.pk, label="3B", domains=domains)

    assert answer.status in (400, 404)
    assert not MeshKey.objects.exists()


def test_a_revoked_key_opens_nothing_and_revoking_again_changes_nothing(
    api: Api, mia: User, grace: User, workspace: Workspace, school: MeshDomain
) -> None:
    made = api(mia)("classroom.make_key", workspace_id=workspace.pk, label="3B", domains=["school"]).body["key"]
    assert key_of(made["secret"]) is not None

    first = api(grace)("classroom.revoke_key", key_id=made["id"])
    revoked_at = MeshKey.objects.get().revoked_at
    again = api(grace)("classroom.revoke_key", key_id=made["id"])
    forget_all()

    assert first.body == again.body
    assert MeshKey.objects.get().revoked_at == revoked_at
    assert key_of(made["secret"]) is None
    assert api(mia)("classroom.keys", workspace_id=workspace.pk).body["keys"] == []


def test_strangers_and_members_neither_see_nor_make_nor_revoke_keys(
    api: Api, mia: User, ada: User, eve: User, workspace: Workspace, other: Workspace, school: MeshDomain
) -> None:
    made = api(mia)("classroom.make_key", workspace_id=workspace.pk, label="3B", domains=["school"]).body["key"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("classroom.keys", {"workspace_id": workspace.pk}),
        ("classroom.make_key", {"workspace_id": workspace.pk, "label": "mine", "domains": ["school"]}),
        ("classroom.revoke_key", {"key_id": made["id"]}),
    ]

    for name, params in calls:
        assert api(ada)(name, **params).said == (403, "forbidden")
        assert api(eve)(name, **params).said == (404, "not_found")
    assert api(eve)("classroom.make_key", workspace_id=other.pk, label="x", domains=["school"]).said == (
        404,
        "not_found",
    )
    assert MeshKey.objects.get().revoked_at is None


def test_a_workspace_has_so_many_keys_and_no_more(
    api: Api, mia: User, workspace: Workspace, school: MeshDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groups.mesh.classrooms.KEYS", 1)
    params = {"workspace_id": workspace.pk, "label": "3B", "domains": ["school"]}
    first = api(mia)("classroom.make_key", **params).body["key"]

    assert api(mia)("classroom.make_key", **params).said == (409, "too_many_keys")
    api(mia)("classroom.revoke_key", key_id=first["id"])
    assert api(mia)("classroom.make_key", **params).status == 200


def test_a_domain_in_other_hands_ends_the_keys_that_the_former_made_for_it(
    api: Api, mia: User, nora: User, workspace: Workspace, other: Workspace, school: MeshDomain
) -> None:
    MeshDomain.objects.create(name="annex", workspace=workspace)
    made = {
        label: api(mia)("classroom.make_key", workspace_id=workspace.pk, label=label, domains=[label]).body["key"]
        for label in ("school", "annex")
    }

    for _ in range(2):
        assign_domain(moderator=nora, name="school", workspace_id=other.pk, reason=REASON)

    assert [key_of(made[label]["secret"]) is None for label in ("school", "annex")] == [True, False]
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.workspace_id, entry.details) == (
        "domain.assigned",
        other.pk,
        {"former_workspace_id": workspace.pk},
    )
    assert api(mia)("classroom.groups", domain="school").said == (404, "not_found")


def test_staff_end_a_key_in_the_admin_site_once(
    nora: User, api: Api, mia: User, workspace: Workspace, school: MeshDomain
) -> None:
    made = api(mia)("classroom.make_key", workspace_id=workspace.pk, label="3B", domains=["school"]).body["key"]

    for _ in range(2):
        end_key(moderator=nora, key_id=made["id"], reason=REASON)

    assert key_of(made["secret"]) is None
    assert [entry.action for entry in AuditEntry.objects.all()] == ["key.revoked"]


@pytest.fixture
def admin(nora: User) -> Client:
    nora.is_superuser = True
    nora.save()
    client = Client()
    client.force_login(nora)
    return client


def test_the_admin_site_gives_the_domain_of_a_group_to_a_workspace(
    admin: Client, workspace: Workspace, api: Api, mia: User
) -> None:
    group = hosting.create_group(domain="3年2組", name="x", host_id="very-secret")

    page = admin.post(
        "/admin/groups/meshgroup/",
        {
            "action": "assign",
            "_selected_action": [group.pk],
            "confirmed": "yes",
            "reason": REASON,
            "workspace": workspace.pk,
        },
        follow=True,
    )

    assert page.status_code == 200
    assert api(mia)("classroom.groups", domain="3年2組").status == 200
    assert b"very-secret" not in admin.get(f"/admin/groups/meshgroup/{group.pk}/change/").content


def test_the_admin_site_lists_domains_and_keys_and_changes_neither_by_a_form(
    admin: Client, workspace: Workspace, school: MeshDomain, api: Api, mia: User
) -> None:
    made = api(mia)("classroom.make_key", workspace_id=workspace.pk, label="3B", domains=["school"]).body["key"]

    assert b"school" in admin.get("/admin/groups/meshdomain/").content
    assert b"3B" in admin.get("/admin/groups/meshkey/").content
    admin.post(f"/admin/groups/meshdomain/{school.pk}/change/", {"name": "mine"})
    admin.post(f"/admin/groups/meshkey/{made['id']}/change/", {"label": "mine"})
    assert (MeshDomain.objects.get().name, MeshKey.objects.get().label) == ("school", "3B")


def test_the_page_opens_for_teachers_alone(grace: User, mia: User, ada: User, eve: User, nora: User) -> None:
    seen = {}
    for user in (grace, mia, ada, eve, nora):
        client = Client()
        client.force_login(user)
        seen[user.username] = client.get("/classroom/").status_code

    assert seen == {"grace": 200, "mia": 200, "ada": 403, "eve": 403, "nora": 200}
    assert Client().get("/classroom/").status_code == 302


def test_the_chat_links_to_the_page_for_those_who_may_use_it(mia: User, ada: User) -> None:
    def links(user: User) -> bool:
        client = Client()
        client.force_login(user)
        return 'href="/classroom/"' in client.get("/").content.decode()

    assert (links(mia), links(ada)) == (True, False)


def test_an_address_that_is_not_known_has_no_domain(grace: User, workspace: Workspace) -> None:
    with pytest.raises(Exception, match="no domain is yours"):
        take_domain(taker=grace, workspace_id=workspace.pk, address="")
    assert Deed.TAKE_DOMAIN in RIGHTS
    assert not MeshDomain.objects.exists()


GUIDE = (Path(__file__).parents[2] / "docs/mesh-v2.md").read_text()


def test_a_shell_reads_each_command_of_the_guide_for_schools() -> None:
    blocks = re.findall(r"^```\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 4
    for block in blocks:
        read = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), block


def test_the_guide_names_each_setting_of_classrooms_with_its_default() -> None:
    source = (Path(__file__).parents[2] / "meshsite/settings.py").read_text()
    counted = re.findall(r'(?:count|number)\("(MESH_\w+)", ([\d_]+)', source)
    told = dict(re.findall(r"^\| `(MESH_\w+)` \| (\d+) \|", GUIDE, re.MULTILINE))
    assert len(counted) >= 10
    assert told == {name: default.replace("_", "") for name, default in counted}
