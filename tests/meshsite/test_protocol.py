"""The documents of the protocol are those of the code."""

import json

import pytest
from django.core.management import CommandError, call_command

from meshsite import protocol
from realtime.errors import Close
from realtime.events import EPHEMERALS, EVENTS


def test_the_documents_are_not_stale() -> None:
    call_command("write_protocol", check=True)


def test_a_stale_document_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(EVENTS, "message.created")
    with pytest.raises(CommandError, match=r"asyncapi\.json, protocol\.md"):
        call_command("write_protocol", check=True)


def test_every_event_is_a_message_with_a_seq_and_its_data() -> None:
    messages = json.loads(protocol.ASYNCAPI.read_text())["components"]["messages"]
    assert EVENTS.keys() < messages.keys()
    for name in EVENTS:
        assert messages[name]["payload"]["properties"]["event"] == {"const": name}
        assert messages[name]["summary"]


def test_every_ephemeral_event_is_a_message_without_a_seq() -> None:
    messages = json.loads(protocol.ASYNCAPI.read_text())["components"]["messages"]
    for name in EPHEMERALS:
        properties = messages[name]["payload"]["properties"]
        assert (properties["type"], properties["event"]) == ({"const": "ephemeral"}, {"const": name})
        assert "seq" not in properties


def test_every_close_code_says_what_to_do() -> None:
    assert {close.value for close in Close} == {close.value for close in protocol.CLOSES}
