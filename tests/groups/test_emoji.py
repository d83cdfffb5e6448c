"""What is one emoji: the server takes what the picker shows, in one form, and nothing else."""

import json
from typing import Any

import pytest
from django.conf import LazySettings

from groups.emoji import VARIATION, canonical_emoji
from groups.models import Channel, User
from tests.cast import Api, say, stored

METHODS = ["message.react", "message.unreact", "message.toggle_react"]
HEARTS = ["❤", "❤️"]
"""Without and with the variation selector."""


def emoji_of_the_picker(settings: LazySettings, language: str = "en") -> list[str]:
    picker = json.loads((settings.BASE_DIR / f"static/emoji/{language}.json").read_text())
    return [form for emoji, _name, _words, _group, toned in picker["emoji"] for form in (emoji, *toned)]


def test_every_emoji_of_the_picker_is_accepted_and_stored_as_it_is(settings: LazySettings) -> None:
    shown = emoji_of_the_picker(settings)

    assert len(shown) == len(set(shown)) > 3900
    assert [canonical_emoji(emoji) for emoji in shown] == shown
    assert [canonical_emoji(emoji.replace(VARIATION, "")) for emoji in shown] == shown
    assert max(map(len, shown)) <= 32  # characters, as the column has


def test_both_languages_have_the_same_emoji(settings: LazySettings) -> None:
    assert emoji_of_the_picker(settings, "ja") == emoji_of_the_picker(settings, "en")


@pytest.mark.parametrize("emoji", ["👍🏽", "👩🏿‍🚀", "🧑🏻‍🤝‍🧑🏿", "🏳️‍🌈", "🇯🇵", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "👨‍👩‍👧‍👦"])
def test_skin_tones_flags_keys_and_families_are_one_emoji(api: Api, general: Channel, ada: User, emoji: str) -> None:
    answer = api(ada)("message.react", message_id=say(ada, general).pk, emoji=emoji)

    assert answer.body["message"]["reactions"] == [{"emoji": emoji, "user_ids": [ada.pk]}]


def test_a_heart_with_and_without_a_variation_selector_is_one_reaction(
    api: Api, general: Channel, ada: User, bob: User
) -> None:
    message = say(ada, general)
    for user, heart in zip((ada, bob), HEARTS, strict=True):
        answer = api(user)("message.react", message_id=message.pk, emoji=heart)
    assert answer.body["message"]["reactions"] == [{"emoji": "❤️", "user_ids": [ada.pk, bob.pk]}]

    answer = api(bob)("message.toggle_react", message_id=message.pk, emoji=HEARTS[0])

    assert answer.body["message"]["reactions"] == [{"emoji": "❤️", "user_ids": [ada.pk]}]


def test_another_skin_tone_is_another_reaction(api: Api, general: Channel, ada: User) -> None:
    message, call = say(ada, general), api(ada)
    for emoji in ("👍", "👍🏽"):
        call("message.react", message_id=message.pk, emoji=emoji)

    rows = call("message.get", message_id=message.pk).body["message"]["reactions"]
    assert rows == [{"emoji": "👍", "user_ids": [ada.pk]}, {"emoji": "👍🏽", "user_ids": [ada.pk]}]


NO_EMOJI = {
    "text": "ok",
    "shortcode": ":+1:",
    "two": "👍👍",
    "space": "👍 ",
    "digit": "1",
    "only a variation selector": VARIATION,
    "only a joiner": "\u200d",
    "only a skin tone": "🏽",
    "half a flag": "🇯",
    "no country": "🇯🇯",
    "as text": "❤\ufe0e",
    "markup": "<b>👍</b>",
    "right to left": "\u202e👍",
    "combining": "👍" + "\u0301" * 100,
    "4,000 emoji": "👍" * 4000,
    "a family of 4,000": "\u200d".join(["👩"] * 4000),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("emoji", NO_EMOJI.values(), ids=NO_EMOJI)
def test_what_is_not_one_emoji_is_refused_by_name(
    api: Api, general: Channel, ada: User, method: str, emoji: str
) -> None:
    message = say(ada, general)
    call = api(ada)
    before = stored()

    answer = call(method, message_id=message.pk, emoji=emoji)

    assert answer.said == (400, "unknown_emoji")
    assert list(answer.body["errors"]) == ["emoji"]
    assert stored() == before


@pytest.mark.parametrize("emoji", ["", "\0", None, 1, ["👍"], {}])
def test_nonsense_in_place_of_an_emoji_is_refused_by_name(api: Api, general: Channel, ada: User, emoji: Any) -> None:
    answer = api(ada)("message.react", message_id=say(ada, general).pk, emoji=emoji)

    assert answer.said == (400, "invalid")
    assert list(answer.body["errors"]) == ["emoji"]


def test_4000_emoji_are_a_message_like_any_other(api: Api, general: Channel, ada: User) -> None:
    answer = api(ada)("message.send", channel_id=general.pk, body="🎉" * 4000)

    assert (answer.status, answer.body["message"]["body"]) == (200, "🎉" * 4000)
