"""The admin site of moderators: finding a message, deleting it so that everybody sees, and nothing beside."""

from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from groups.actions.messages import edit_message
from groups.models import Channel, Message, User
from tests.cast import ids, make_user, names, published, say, stored

MESSAGES = "/admin/groups/message/"
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


def delete(client: Client, message: Message) -> Any:
    return client.post(f"{MESSAGES}{message.pk}/delete/", {"post": "yes"}, follow=True)


def delete_in_bulk(client: Client, *messages: Message) -> Any:
    chosen = [message.pk for message in messages]
    return client.post(MESSAGES, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}, follow=True)


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

    assert LogEntry.objects.filter(object_id__in=[first.pk, second.pk]).count() == 2
    assert "unspeakable" not in str(list(LogEntry.objects.values_list()))
    rows = {table: found for table, found in stored().items() if table != "realtime.OutboxEvent"}
    assert "unspeakable" not in str(rows)
    assert "unspeakable" not in admin.get("/admin/").content.decode()


def test_the_moderator_sees_what_is_about_to_be_deleted(admin: Client, general: Channel, ada: User) -> None:
    message = say(ada, general, "<b>un</b>speakable")

    one = admin.get(f"{MESSAGES}{message.pk}/delete/").content.decode()
    many = admin.post(MESSAGES, {"action": "delete_selected", "_selected_action": [message.pk]}).content.decode()

    for page in (one, many):
        assert "<b>un</b>" not in page
        assert "<b>un</b>speakable" in unescape(page)


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

    for model, pk in (("channel", general.pk), ("workspace", general.workspace_id), ("user", ada.pk)):
        assert admin.get(f"/admin/groups/{model}/").status_code == 200
        assert admin.get(f"/admin/groups/{model}/{pk}/change/").status_code == 200
        assert admin.post(f"/admin/groups/{model}/{pk}/change/", {"name": "x", "username": "x"}).status_code == 403
        assert admin.post(f"/admin/groups/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403
        assert admin.get(f"/admin/groups/{model}/add/").status_code == 403
    for model in ("apitoken", "invite"):
        assert admin.get(f"/admin/groups/{model}/").status_code == 403
    assert stored() == before


def test_staff_without_rights_sees_and_deletes_nothing(general: Channel, ada: User) -> None:
    message = say(ada, general, "hello")
    client = Client()
    client.force_login(make_user("otto", is_staff=True))

    pages = [
        client.get(MESSAGES),
        client.get(f"{MESSAGES}{message.pk}/change/"),
        client.post(f"{MESSAGES}{message.pk}/delete/", {"post": "yes"}),
        client.post(MESSAGES, {"action": "delete_selected", "_selected_action": [message.pk], "post": "yes"}),
    ]

    assert [page.status_code for page in pages] == [403] * 4
    assert not Message.objects.get().deleted


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


def test_not_even_a_superuser_deletes_an_account(root: Client, ada: User) -> None:
    assert root.post(f"/admin/groups/user/{ada.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=ada.pk).exists()


def test_every_page_of_the_admin_site_opens(root: Client, general: Channel, ada: User) -> None:
    say(ada, general)

    for model in ("message", "channel", "workspace", "user", "invite", "apitoken"):
        assert root.get(f"/admin/groups/{model}/", {"q": "a"}).status_code == 200, model
