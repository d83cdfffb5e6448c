"""Names of channels and people: how they are kept, and which ones nobody could tell apart."""

import re
from collections.abc import Callable
from importlib import import_module

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client

from groups.actions.channels import create_channel
from groups.models import Channel, User, Workspace
from groups.models.user import check_username
from groups.spelling import checked_line, checked_name, look_of, spelling_of
from realtime.errors import Conflict
from tests.cast import Api, at_once, make_channel, make_user

INVISIBLE = {
    "a right-to-left override": "\u202e",
    "a right-to-left isolate": "\u2067",
    "a right-to-left mark": "\u200f",
    "a zero-width space": "\u200b",
    "a zero-width joiner between letters": "\u200d",
    "a word joiner": "\u2060",
    "a byte order mark": "\ufeff",
    "a soft hyphen": "\u00ad",
    "a combining grapheme joiner": "\u034f",
    "a Hangul filler": "\u3164",
    "a blank of Braille": "\u2800",
    "a bell": "\x07",
    "an escape": "\x1b",
    "a private character": "\ue000",
    "a tag": "\U000e0041",
}
ZALGO = "g\u0300\u0301\u0302\u0303\u0304eneral"


def alike(one: str, other: str) -> bool:
    return spelling_of(one) == spelling_of(other) or look_of(one) == look_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("general", "GENERAL"),
        ("general", "ｇｅｎｅｒａｌ"),
        ("General", "GeneraI"),
        ("general", "gеnеrаl"),  # Cyrillic е and а
        ("GENERAL", "gеnеrаl"),
        ("bob", "Βоb"),  # a Greek Beta, a Cyrillic о
        ("modern", "rnodern"),
        ("room 1", "room l"),
        ("go", "g0"),
        ("GO", "G0"),
        ("straße", "STRASSE"),
        ("ÄPFEL", "äpfel"),
        ("café", "cafe\u0301"),
        ("Кот", "кот"),
        ("ada", "ada\ufe0f"),
        ("力仕事", "カ仕事"),  # the letter ka for the character "power"
        ("二丁目", "ニ丁目"),
        ("Tea – time", "Tea ‐ time"),
    ],
)
def test_who_looks_cannot_tell_these_apart(one: str, other: str) -> None:
    assert alike(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mail", "mall"),
        ("fail", "fall"),
        ("cafe", "café"),
        ("ガレージ", "カレージ"),
        ("はな", "ハナ"),
        ("お茶 Tea", "お茶 Team"),
        ("team 1", "team 2"),
        ("a b", "ab"),
        ("general", "general-2"),
    ],
)
def test_these_are_told_apart(one: str, other: str) -> None:
    assert not alike(one, other)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  お茶　の  room ", "お茶 の room"),
        ("ｶﾞﾚｰｼﾞ", "ガレージ"),
        ("cafe\u0301", "café"),
        ("a\tb\nc", "a b c"),
        ("👩\u200d💻 code", "👩\u200d💻 code"),
        ("🏳\ufe0f\u200d🌈", "🏳\ufe0f\u200d🌈"),
        ("1\ufe0f\u20e3", "1\ufe0f\u20e3"),
        ("đại lý", "đại lý"),
        ("ผู้ใหญ่", "ผู้ใหญ\u0e48"),
    ],
)
def test_a_name_is_kept_in_one_form(given: str, kept: str) -> None:
    assert checked_name(given, field="name", most=80) == kept


@pytest.mark.parametrize("hidden", INVISIBLE.values(), ids=INVISIBLE)
def test_a_name_hides_nothing(api: Api, workspace: Workspace, ada: User, hidden: str) -> None:
    answer = api(ada)("channel.create", workspace_id=workspace.pk, kind="public", name=f"gen{hidden}eral")

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["name"])
    assert not Channel.objects.exists()


@pytest.mark.parametrize("name", [ZALGO, "\u0301" * 80, "ﷺ" * 80, "x" * 81])
def test_a_name_can_be_read(api: Api, workspace: Workspace, ada: User, name: str) -> None:
    answer = api(ada)("channel.create", workspace_id=workspace.pk, kind="public", name=name)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["name"])


def test_a_topic_is_one_line_that_hides_nothing(api: Api, workspace: Workspace, ada: User) -> None:
    call = api(ada)
    good = call(
        "channel.create", workspace_id=workspace.pk, kind="public", name="a", topic=" می\u200cخواهم \n 👩\u200d💻 "
    )

    bad = call("channel.create", workspace_id=workspace.pk, kind="public", name="b", topic="safe \u202efdp.exe")

    assert good.body["channel"]["topic"] == "می\u200cخواهم 👩\u200d💻"
    assert (bad.said, list(bad.body["errors"])) == ((400, "invalid"), ["topic"])


def test_a_line_has_its_length_after_it_was_put_into_form() -> None:
    assert checked_line("e\u0301" * 10, field="topic", most=10) == "é" * 10
    with pytest.raises(ValidationError, match="At most 9 characters, not 10"):
        checked_line("e\u0301" * 10, field="topic", most=9)


@pytest.mark.parametrize("name", ["GENERAL", "GeneraI", "gеnеrаl", "ｇｅｎｅｒａｌ", "#general"])
def test_a_name_that_looks_like_another_is_taken_and_the_answer_says_by_which(
    api: Api, general: Channel, ada: User, name: str
) -> None:
    answer = api(ada)("channel.create", workspace_id=general.workspace_id, kind="private", name=name)

    assert answer.said == (409, "name_taken")
    assert "#general" in answer.body["detail"]
    assert general.workspace.channels.count() == 1


def test_the_database_refuses_a_second_look(workspace: Workspace, general: Channel, grace: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        workspace.channels.create(kind="public", name="GeneraI", created_by=grace, created_at=general.created_at)


def test_a_name_is_free_again_when_its_channel_has_another(api: Api, general: Channel, grace: User) -> None:
    call = api(grace)
    call("channel.update", channel_id=general.pk, name="plaza")

    assert make_channel(grace, general.workspace, "GENERAL").name == "GENERAL"
    assert call("channel.update", channel_id=general.pk, name="general").said == (409, "name_taken")


@pytest.mark.parametrize("username", ["ADA", "аda", "аdа", "ＡDA"])
def test_nobody_signs_up_under_a_name_that_looks_like_anothers(db: None, username: str) -> None:
    make_user("ada")
    page = Client().post("/accounts/signup/", sign_up(username))

    assert page.status_code == 200
    assert "@ada" in page.content.decode() or "already exists" in page.content.decode()
    assert User.objects.count() == 1


@pytest.mark.parametrize("username", ["admin", "аdmin", "Here", "сhannel"])
def test_reserved_words_are_reserved_in_look_alikes_too(db: None, username: str) -> None:
    assert "reserved" in Client().post("/accounts/signup/", sign_up(username)).content.decode()
    assert not User.objects.exists()


def test_who_looks_like_nobody_signs_up(db: None) -> None:
    make_user("ada")
    assert Client().post("/accounts/signup/", sign_up("adam")).status_code == 302
    assert User.objects.filter(username="adam").exists()


def test_a_form_of_an_account_tells_whom_the_name_looks_like(db: None) -> None:
    ada = make_user("ada")
    ada.full_clean(exclude=["password"])

    with pytest.raises(ValidationError, match="@ada"):
        check_username("аda")


def test_the_database_refuses_a_second_ada(ada: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_user("аda")


def test_names_that_collided_before_keep_their_names_and_the_later_gives_way(
    workspace: Workspace, grace: User, ada: User, bob: User
) -> None:
    channels = [make_channel(grace, workspace, name) for name in ("tea", "x", "y")]
    for channel, name in zip(channels, ("tea", "TEA", "tеа"), strict=True):
        Channel.objects.filter(pk=channel.pk).update(
            name=name, name_key=f"old {channel.pk}", name_look=f"old {channel.pk}"
        )
    User.objects.filter(pk=bob.pk).update(username="аda")
    fill: Callable[..., None] = import_module("groups.migrations.0009_fill_name_keys").fill

    for _twice in range(2):
        fill(apps, None)
        names = Channel.objects.order_by("pk").values_list("name", "name_key")
        assert list(names) == [("tea", "tea"), ("TEA", f"tea\x1f{channels[1].pk}"), ("tеа", f"tea\x1f{channels[2].pk}")]
        assert User.objects.get(pk=bob.pk).username_key == f"ada\x1f{bob.pk}"
    bob.refresh_from_db()
    bob.save()
    with pytest.raises(Conflict):
        create_channel(creator=grace, workspace_id=workspace.pk, kind="public", name="Tea")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_names_that_look_alike_exactly_one_is_given_at_once(workspace: Workspace, grace: User) -> None:
    def create(name: str) -> Callable[[], str]:
        def run() -> str:
            try:
                return create_channel(creator=grace, workspace_id=workspace.pk, kind="public", name=name).name
            except Conflict as refusal:
                return refusal.code

        return run

    got = at_once(*map(create, ["modern", "rnodern", "MODERN", "mоdеrn"]))

    assert sorted(got).count("name_taken") == 3
    assert workspace.channels.count() == 1


def sign_up(username: str) -> dict[str, str]:
    # As the form asks for it; a fixed password that no list of common ones holds.
    password = "correct-horse-battery-7"
    fields = {"username": username, "email": "someone@example.org", "password1": password, "password2": password}
    assert re.fullmatch(r"[\w.@+-]+", username)
    return fields
