"""Tickets: what they carry comes back once, in time, and only as it was signed."""

import time

import pytest
from django.conf import LazySettings
from django.core import signing

from realtime import tickets

CLAIMS = {"user": 7, "scopes": ["read"], "credential": "token:1"}


def test_a_ticket_gives_its_claims_the_first_time_only() -> None:
    ticket = tickets.issue(CLAIMS)

    assert [tickets.take(ticket), tickets.take(ticket), tickets.take(ticket)] == [CLAIMS, None, None]


def test_two_tickets_of_the_same_claims_are_two() -> None:
    first, second = tickets.issue(CLAIMS), tickets.issue(CLAIMS)

    assert (tickets.take(first), tickets.take(second)) == (CLAIMS, CLAIMS)


@pytest.mark.parametrize(("seconds", "taken"), [(28, CLAIMS), (32, None)])
def test_a_ticket_lives_for_ticket_seconds(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings, seconds: int, taken: object
) -> None:
    settings.TICKET_SECONDS = 30
    ticket, now = tickets.issue(CLAIMS), time.time()
    monkeypatch.setattr(time, "time", lambda: now + seconds)

    assert tickets.take(ticket) == taken


def test_a_used_ticket_stays_used_as_long_as_it_would_live(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    settings.TICKET_SECONDS = 30
    ticket, now = tickets.issue(CLAIMS), time.time()
    tickets.take(ticket)
    monkeypatch.setattr(time, "time", lambda: now + 29)

    assert tickets.take(ticket) is None


def test_a_used_ticket_stays_used_however_many_others_there_are() -> None:
    ticket = tickets.issue(CLAIMS)
    tickets.take(ticket)
    for _ in range(1000):
        tickets.take(tickets.issue(CLAIMS))

    assert tickets.take(ticket) is None


@pytest.mark.parametrize("forged", ["", "x", "a:b:c", "::::", "\0", "\ud83d", "日本", "." * 10_000])
def test_what_is_no_ticket_gives_nothing(forged: str) -> None:
    assert tickets.take(forged) is None


def test_a_ticket_that_was_changed_gives_nothing() -> None:
    ticket = tickets.issue(CLAIMS)
    middle = len(ticket) // 3

    assert tickets.take(ticket[:middle] + ("A" if ticket[middle] != "A" else "B") + ticket[middle + 1 :]) is None
    assert tickets.take(ticket[:-1]) is None
    assert tickets.take(ticket) == CLAIMS


def test_another_signature_of_this_server_is_no_ticket() -> None:
    resume_token = signing.dumps({**CLAIMS, "nonce": "x"}, salt="realtime.resume")

    assert tickets.take(resume_token) is None
