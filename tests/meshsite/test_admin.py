"""The admin site of moderators: finding a message, deleting it so that everybody sees, and nothing beside."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from groups.actions.messages import edit_message
from groups.actions.workspaces import invite_to_workspace
from groups.admin import measures
from groups.models import ApiToken, AuditEntry, Channel, Invite, Message, User, WorkspaceMember
from realtime import clock
from tests.cast import ids, make_user, names, published, say, stored, token_of

MESSAGES = "/admin/groups/message/"
MEMBERS = "/admin/groups/workspacemember/"
USERS = "/admin/groups/user/"
AUDIT = "/admin/groups/auditentry/"
REASON = "Insult of another member"
PASSWORD = "a long and secret sentence"


@pytest.fixture
def nora(db: None) -> User:
    """Staff of the group Moderators, and a member of nothing."""
    nora = make_user("nora", is_staff=True, password=PASSWORD)
    nora.groups.add(Group.objects.get(name="Moderators"))
    return nora


@pytest.fixture
def admin(nora: User) -> Client:
    client = Client()
    client.force_login(nora)
    return client


def found(client: Client, query: str) -> list[str]:
    page = client.get(MESSAGES, {"q": query})
    assert page.status_code == 200
    return [message.body for message in page.context["cl"].result_list]


def measure(client: Client, row: Model, name: str, **fields: Any) -> Any:
    """Take a measure on one row, as its button does."""
    path = f"/admin/groups/{row._meta.model_name}/{row.pk}/measures/{name}/"
    return client.post(path, {"confirmed": "yes", "reason": REASON} | fields, follow=True)


def measure_many(client: Client, name: str, *rows: Model, **fields: Any) -> Any:
    """Take a measure on the rows that were ticked in the list."""
    chosen = {"action": name, "_selected_action": [row.pk for row in rows]}
    path = f"/admin/groups/{rows[0]._meta.model_name}/"
    return client.post(path, chosen | {"confirmed": "yes", "reason": REASON} | fields, follow=True)


def delete(client: Client, message: Message) -> Any:
    return measure(client, message, "delete")


def delete_in_bulk(client: Client, *messages: Message) -> Any:
    return measure_many(client, "delete", *messages)


def member(user: User, channel: Channel) -> WorkspaceMember:
    return WorkspaceMember.objects.get(user=user, workspace=channel.workspace_id)


def said_on(page: Any) -> list[str]:
    """The messages on top of the page."""
    return [str(message) for message in page.context["messages"]]


def test_a_moderator_signs_in_on_the_admin_site_itself(nora: User) -> None:
    client = Client()

    page = client.post("/admin/login/", {"username": "nora", "password": PASSWORD, "next": "/admin/"}, follow=True)

    assert page.redirect_chain == [("/admin/", 302)]
    assert MESSAGES in page.content.decode()


def test_a_wrong_password_or_no_staff_does_not_get_in(nora: User, ada: User) -> None:
    ada.set_password(PASSWORD)
    ada.save()

    for username, password in (("nora", "wrong"), ("ada", PASSWORD)):
        client = Client()
        page = client.post("/admin/login/", {"username": username, "password": password, "next": "/admin/"})
        assert (page.status_code, "_auth_user_id" in client.session) == (200, False)


def test_messages_are_found_by_text_and_by_author(admin: Client, general: Channel, ada: User, bob: User) -> None:
    say(ada, general, "Cake at noon"), say(bob, general, "お茶もあります"), say(bob, general, "none left")

    assert found(admin, "cake") == ["Cake at noon"]
    assert found(admin, "お茶") == ["お茶もあります"]
    assert found(admin, "bob none") == ["none left"]
    assert found(admin, "ada") == ["Cake at noon"]
    assert found(admin, "nothing like it") == []


def test_a_deletion_leaves_a_tombstone_and_every_member_is_told(
    admin: Client, nora: User, general: Channel, grace: User, ada: User, bob: User
) -> None:
    message = say(ada, general, "unspeakable")

    with published() as told:
        page = delete(admin, message)

    message.refresh_from_db()
    assert page.status_code == 200
    assert (message.body, message.html, message.deleted, message.deleted_by) == ("", "", True, nora)
    assert [(event.name, event.user_ids) for event in told] == [("message.deleted", ids(grace, ada, bob))]
    assert told[0].data == {
        "message_id": message.pk,
        "channel_id": general.pk,
        "author_id": message.author_id,
        "thread_root_id": None,
        "rev": message.rev,
    }


def test_a_deletion_in_bulk_tells_of_each_message(admin: Client, general: Channel, ada: User, bob: User) -> None:
    one, kept, two = say(ada, general, "one"), say(ada, general, "kept"), say(bob, general, "two")

    with published() as told:
        page = delete_in_bulk(admin, one, two)

    assert page.status_code == 200
    assert names(told) == ["message.deleted"] * 2
    assert {event.data["message_id"] for event in told} == {one.pk, two.pk}
    assert [message.body for message in Message.objects.shown()] == [kept.body]


def test_deleting_again_tells_nobody(admin: Client, general: Channel, ada: User) -> None:
    message = say(ada, general)
    delete(admin, message)

    with published() as told:
        delete(admin, message)
        delete_in_bulk(admin, message)

    assert told == []


def test_a_private_message_can_be_deleted_by_a_moderator_who_is_no_member(
    admin: Client, secret: Channel, grace: User
) -> None:
    message = say(grace, secret)

    delete(admin, message)

    message.refresh_from_db()
    assert message.deleted


def test_what_was_deleted_is_nowhere_any_more(admin: Client, general: Channel, ada: User) -> None:
    first, second = say(ada, general, "unspeakable"), say(ada, general, "unspeakable too")
    edit_message(editor=ada, message_id=first.pk, body="unspeakable still")

    delete(admin, first)
    delete_in_bulk(admin, second)

    rows = {table: found for table, found in stored().items() if table != "realtime.OutboxEvent"}
    assert "unspeakable" not in str(rows)
    assert "unspeakable" not in str(list(LogEntry.objects.values_list()))
    for path in ("/admin/", MESSAGES, f"{MESSAGES}{first.pk}/change/", AUDIT):
        assert "unspeakable" not in admin.get(path).content.decode(), path


def test_messages_are_filtered_by_their_state(admin: Client, general: Channel, ada: User) -> None:
    edited, deleted, plain = say(ada, general), say(ada, general), say(ada, general)
    edit_message(editor=ada, message_id=edited.pk, body="changed")
    delete(admin, deleted)

    states = {
        state: {row.pk for row in admin.get(MESSAGES, {"state": state}).context["cl"].result_list}
        for state in ("shown", "edited", "deleted", "")
    }

    everything = {edited.pk, deleted.pk, plain.pk}
    assert states == {
        "shown": everything - {deleted.pk},
        "edited": {edited.pk},
        "deleted": {deleted.pk},
        "": everything,
    }


def test_a_deletion_is_in_the_audit_log_with_who_and_why(
    admin: Client, nora: User, general: Channel, ada: User
) -> None:
    one, two = say(ada, general), say(ada, general)

    delete(admin, one)
    delete_in_bulk(admin, two)

    entries = AuditEntry.objects.order_by("number").values_list("actor", "action", "target", "reason")
    assert list(entries) == [(nora.pk, "message.deleted", f"message:{row.pk}", REASON) for row in (one, two)]


def test_no_measure_is_taken_without_a_reason(admin: Client, root: Client, general: Channel, ada: User) -> None:
    message, ada_there = say(ada, general), member(ada, general)
    invite = invite_to_workspace(inviter=general.created_by, workspace_id=general.workspace_id, days=1).invite
    token_of(ada)
    before = stored()

    for row, names_ in [
        (message, ["delete"]),
        (ada_there, ["silence", "unsilence", "remove"]),
        (invite, ["revoke"]),
        (ApiToken.objects.get(), ["revoke"]),
        (ada, ["deactivate", "reactivate"]),
    ]:
        for name in names_:
            for page in (
                measure(root, row, name, reason=" ", minutes=60),
                measure_many(root, name, row, reason="", minutes=60),
                measure(root, row, name, reason="x" * 501, minutes=60),
            ):
                assert page.status_code == 200
                assert list(page.context["form"].errors) == ["reason"], name
    assert stored() == before


def test_the_moderator_sees_what_a_measure_is_taken_on(admin: Client, general: Channel, ada: User) -> None:
    message = say(ada, general, "<b>un</b>speakable")
    before = stored()

    one = admin.get(f"{MESSAGES}{message.pk}/measures/delete/").content.decode()
    many = admin.post(MESSAGES, {"action": "delete", "_selected_action": [message.pk]}).content.decode()

    for page in (one, many):
        assert "<b>un</b>" not in page
        assert "ada in #general: <b>un</b>speakable" in unescape(page)
    assert stored() == before


def test_a_message_is_shown_among_those_around_it(admin: Client, general: Channel, ada: User, bob: User) -> None:
    said = [say(ada if number % 2 else bob, general, f"text {number:02}") for number in range(30)]
    delete(admin, said[12])
    edit_message(editor=bob, message_id=said[14].pk, body="text 14, kindly")

    page = admin.get(f"{MESSAGES}{said[14].pk}/change/")

    assert [message.pk for message in page.context["around"]] == [message.pk for message in said[4:25]]
    html = page.content.decode()
    assert "text 12" not in html
    assert "Deleted by nora" in html
    assert [version.body for version in page.context["versions"]] == ["text 14"]
    of_author = f"{MESSAGES}?author__id__exact={bob.pk}"
    assert of_author in html
    assert {row.author for row in admin.get(of_author).context["cl"].result_list} == {bob}


def test_hostile_texts_are_shown_as_text(admin: Client, general: Channel, ada: User) -> None:
    hostile = "<script>alert(1)</script>"
    message = say(ada, general, hostile)
    edit_message(editor=ada, message_id=message.pk, body=hostile + "!")
    measure(admin, member(ada, general), "silence", minutes=60, reason=hostile)

    entry = AuditEntry.objects.get()
    for path in (MESSAGES, f"{MESSAGES}{message.pk}/change/", AUDIT, f"{AUDIT}{entry.pk}/change/"):
        page = admin.get(path).content.decode()
        assert "<script>alert" not in page, path
        assert hostile in unescape(page), path


def test_a_member_is_muted_for_the_chosen_time(
    admin: Client, general: Channel, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)

    with published() as told:
        page = measure(admin, member(ada, general), "silence", minutes=480)

    assert said_on(page) == ["Mute (may only read): done for 1."]
    assert member(ada, general).silenced_until == now + timedelta(hours=8)
    assert [(event.name, event.user_ids) for event in told] == [("workspace.updated", ids(ada))]
    muted = admin.get(MEMBERS, {"silenced": "now"}).context["cl"].result_list
    assert [row.user for row in muted] == [ada]

    measure(admin, member(ada, general), "unsilence")
    assert member(ada, general).silenced_until is None


@pytest.mark.parametrize("minutes", ["", "0", "-60", "61", "9" * 30, "x"])
def test_only_the_offered_times_can_be_chosen(admin: Client, general: Channel, ada: User, minutes: str) -> None:
    page = measure(admin, member(ada, general), "silence", minutes=minutes)

    assert list(page.context["form"].errors) == ["minutes"]
    assert member(ada, general).silenced_until is None


def test_members_are_removed_in_bulk_and_everybody_sees(
    admin: Client, general: Channel, grace: User, ada: User, bob: User
) -> None:
    with published() as told:
        page = measure_many(admin, "remove", member(ada, general), member(bob, general))

    assert said_on(page) == ["Remove from the workspace: done for 2."]
    assert list(general.workspace.members.values_list("user", flat=True)) == [grace.pk]
    left = {event.data["user_id"] for event in told if event.name == "workspace.member_left"}
    assert left == {ada.pk, bob.pk}
    assert AuditEntry.objects.filter(action="member.removed").count() == 2


def test_what_refuses_one_row_does_not_touch_the_others(
    admin: Client, general: Channel, grace: User, ada: User
) -> None:
    page = measure_many(admin, "remove", member(grace, general), member(ada, general))

    assert said_on(page) == [
        "Remove from the workspace: done for 1.",
        "grace in Engines: Owners are not moderated. An administrator may deactivate the account.",
    ]
    assert not general.workspace.members.filter(user=ada).exists()
    assert general.workspace.members.filter(user=grace).exists()


def test_the_audit_log_is_read_and_searched_and_never_changed(
    admin: Client, root: Client, nora: User, general: Channel, ada: User, bob: User
) -> None:
    delete(admin, say(ada, general))
    measure(admin, member(bob, general), "silence", minutes=60, reason="shouting")

    assert [
        line.split(">")[1].split("<")[0] for line in admin.get(AUDIT).content.decode().split("field-about")[1:]
    ] == [
        "bob",
        "ada",
    ]

    def numbers(**query: Any) -> list[int]:
        page = admin.get(AUDIT, query)
        assert page.status_code == 200
        return [entry.number for entry in page.context["cl"].result_list]

    assert numbers() == [2, 1]
    assert numbers(q="shouting") == numbers(target__exact=f"user:{bob.pk}") == [2]
    assert numbers(action__exact="message.deleted") == [1]
    assert numbers(actor=nora.pk) == numbers(workspace=general.workspace_id) == [2, 1]
    assert numbers(actor=ada.pk) == numbers(workspace=general.workspace_id + 1) == []
    before = stored()
    for verb, path in (("add", "add/"), ("change", "1/change/"), ("delete", "1/delete/")):
        assert root.post(AUDIT + path, {"reason": "kindness", "post": "yes"}).status_code == 403, verb
    page = root.post(AUDIT, {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"})
    assert page.status_code in (200, 302)
    assert stored() == before


def test_an_account_is_deactivated_by_a_measure_and_not_by_the_form(root: Client, ada: User) -> None:
    form = {"username": "eva", "is_active": "", "email": "ada@example.org", "display_name": "Eve"}
    root.post(f"{USERS}{ada.pk}/change/", form)
    ada.refresh_from_db()
    assert (ada.username, ada.is_active, ada.display_name) == ("ada", True, "Ada")

    measure_many(root, "deactivate", ada)
    assert not User.objects.get(pk=ada.pk).is_active

    measure(root, ada, "reactivate")
    assert User.objects.get(pk=ada.pk).is_active
    assert list(AuditEntry.objects.order_by("number").values_list("action", "reason")) == [
        ("user.deactivated", REASON),
        ("user.reactivated", REASON),
    ]


def test_invites_and_tokens_are_revoked_by_measures(root: Client, general: Channel, ada: User) -> None:
    invite = invite_to_workspace(inviter=general.created_by, workspace_id=general.workspace_id, days=1).invite
    token_of(ada)
    token = ApiToken.objects.get()

    measure(root, invite, "revoke")
    measure_many(root, "revoke", token)

    assert not Invite.objects.usable().filter(pk=invite.pk).exists()
    assert not ApiToken.objects.usable().exists()
    assert AuditEntry.objects.count() == 2


def test_too_many_rows_are_refused_at_once(
    admin: Client, general: Channel, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "AT_ONCE", 2)

    page = delete_in_bulk(admin, *[say(ada, general) for _ in range(3)])

    assert said_on(page) == ["Choose at most 2 at once."]
    assert Message.objects.shown().count() == 3


def test_a_message_is_shown_and_cannot_be_edited_or_added(admin: Client, general: Channel, ada: User) -> None:
    message = say(ada, general, "hello")
    change = f"{MESSAGES}{message.pk}/change/"
    assert "hello" in admin.get(change).content.decode()
    before = stored()

    assert admin.post(change, {"body": "changed"}).status_code == 403
    assert admin.get(f"{MESSAGES}add/").status_code == 403
    assert admin.post(f"{MESSAGES}add/", {"body": "added", "channel": message.channel_id}).status_code == 403
    assert stored() == before


def test_a_moderator_changes_nothing_else(admin: Client, general: Channel, ada: User) -> None:
    before = stored()

    there = member(ada, general)
    for row in (general, general.workspace, ada, there):
        path = f"/admin/groups/{row._meta.model_name}/"
        assert admin.get(path).status_code == 200
        assert admin.get(f"{path}{row.pk}/change/").status_code == 200
        fields = {"name": "x", "username": "x", "role": "owner", "silenced_until_0": "2030-01-01"}
        assert admin.post(f"{path}{row.pk}/change/", fields).status_code == 403
        assert admin.post(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        assert admin.get(f"{path}add/").status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        assert admin.post(path, chosen).status_code in (200, 302)
    for model in ("apitoken", "invite"):
        assert admin.get(f"/admin/groups/{model}/").status_code == 403
    assert measure(admin, ada, "deactivate").status_code == 403
    assert stored() == before


def test_not_even_a_superuser_deletes_rows_as_they_are(root: Client, general: Channel, ada: User) -> None:
    message = say(ada, general)
    before = stored()

    for row in (message, general, general.workspace, ada, member(ada, general)):
        path = f"/admin/groups/{row._meta.model_name}/"
        assert root.post(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        root.post(path, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert stored() == before


@pytest.fixture
def otto(db: None) -> Client:
    """Staff without any right."""
    client = Client()
    client.force_login(make_user("otto", is_staff=True))
    return client


def test_staff_without_rights_sees_and_does_nothing(otto: Client, general: Channel, ada: User) -> None:
    message, there = say(ada, general, "hello"), member(ada, general)
    before = stored()

    for row, name in ((message, "delete"), (there, "silence"), (there, "remove"), (ada, "deactivate")):
        path = f"/admin/groups/{row._meta.model_name}/"
        pages = [
            otto.get(path),
            otto.get(f"{path}{row.pk}/change/"),
            otto.get(f"{path}{row.pk}/measures/{name}/"),
            measure(otto, row, name, minutes=60),
            measure_many(otto, name, row, minutes=60),
        ]
        assert [page.status_code for page in pages] == [403] * 5, path
    assert otto.get(AUDIT).status_code == 403
    assert stored() == before


def test_who_may_only_look_takes_no_measure(otto: Client, general: Channel, ada: User) -> None:
    user = User.objects.get(username="otto")
    looking = ["view_message", "view_workspacemember", "view_user", "view_invite", "view_apitoken"]
    user.user_permissions.set(Permission.objects.filter(codename__in=looking))
    message, there = say(ada, general, "hello"), member(ada, general)
    before = stored()

    for row, name in ((message, "delete"), (there, "silence"), (there, "unsilence"), (there, "remove")):
        page = otto.get(f"/admin/groups/{row._meta.model_name}/{row.pk}/change/")
        assert (page.status_code, page.context["measures"]) == (200, [])
        assert measure(otto, row, name, minutes=60).status_code == 403
        measure_many(otto, name, row, minutes=60)
    assert stored() == before


def test_whoever_is_no_staff_is_sent_to_sign_in(general: Channel, ada: User) -> None:
    client = Client()
    client.force_login(ada)

    answer = client.get(MESSAGES)

    assert (answer.status_code, answer.headers["Location"]) == (302, f"{reverse('admin:login')}?next={MESSAGES}")


def test_the_list_costs_the_same_queries_for_40_messages_as_for_one(
    admin: Client, general: Channel, ada: User, django_assert_max_num_queries: Any
) -> None:
    for _ in range(40):
        say(ada, general)

    with django_assert_max_num_queries(16):
        admin.get(MESSAGES)


def test_the_audit_log_costs_the_same_queries_for_40_entries_as_for_one(
    admin: Client, general: Channel, ada: User, django_assert_max_num_queries: Any
) -> None:
    for _ in range(40):
        delete(admin, say(ada, general))

    with django_assert_max_num_queries(18):
        admin.get(AUDIT)


def test_hostile_queries_of_the_list_are_pages_too(admin: Client, general: Channel, ada: User) -> None:
    say(ada, general)

    for query in (
        {"q": "\0"},
        {"p": "-1"},
        {"p": "x"},
        {"o": "99"},
        {"channel__workspace__id__exact": "\0"},
        {"x": "y"},
    ):
        assert admin.get(MESSAGES, query, follow=True).status_code == 200, query
    for query in ({"actor": "9" * 40}, {"actor": "x"}, {"workspace": "9" * 40}, {"action__exact": "x"}):
        assert admin.get(AUDIT, query, follow=True).status_code == 200, query
    for pk in ("x", "0", "-1", "9" * 40):
        assert admin.get(f"{MESSAGES}{pk}/change/", follow=True).status_code == 200, pk


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    return client


def test_a_superuser_adds_an_account_whose_name_is_free_in_any_case(root: Client, ada: User) -> None:
    form = {"username": "ADA", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    refused = root.post("/admin/groups/user/add/", form)
    assert (refused.status_code, User.objects.filter(username="ADA").exists()) == (200, False)

    root.post("/admin/groups/user/add/", form | {"username": "lovelace"})
    assert User.objects.filter(username="lovelace").exists()


def test_every_page_of_the_admin_site_opens(root: Client, general: Channel, ada: User) -> None:
    message, there = say(ada, general), member(ada, general)
    invite = invite_to_workspace(inviter=general.created_by, workspace_id=general.workspace_id, days=1).invite
    token_of(ada)
    measure(root, there, "silence", minutes=60)
    rows = [
        (message, ["delete"]),
        (general, []),
        (general.workspace, []),
        (there, ["silence", "unsilence", "remove"]),
        (ada, ["deactivate", "reactivate"]),
        (invite, ["revoke"]),
        (ApiToken.objects.get(), ["revoke"]),
        (AuditEntry.objects.get(), []),
    ]

    for row, names_ in rows:
        path = f"/admin/groups/{row._meta.model_name}/"
        for page in ("", "?q=a", f"{row.pk}/change/", *(f"{row.pk}/measures/{name}/" for name in names_)):
            assert root.get(path + page).status_code == 200, path + page
    assert root.get("/admin/").status_code == 200
    assert root.get(f"{MESSAGES}{message.pk}/measures/nothing/").status_code == 403
    assert root.get(f"{MESSAGES}{message.pk + 1}/measures/delete/").status_code == 404
