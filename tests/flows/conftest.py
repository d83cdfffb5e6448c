"""People on the shared server, and a place of their own for each test."""

from collections.abc import Iterator

import pytest

from tests.polls import Poll
from tests.server import Server
from tests.sockets import CAST, Person, Place, enrolled, found


@pytest.fixture(scope="session")
def people(server: Server) -> Iterator[list[Person]]:
    with enrolled(server, *CAST) as people:
        for person in people:
            Poll(person).settle()
        yield people


@pytest.fixture
def place(people: list[Person]) -> Place:
    """Quiet: that they joined, and so are seen by the others, was told."""
    place = found(people)
    for person in (place.grace, place.ada, place.bob):
        person.call("presence.set_away", away=False)  # it tells what is left to tell before it answers
    return place


@pytest.fixture
def ada(place: Place) -> Person:
    return place.ada


@pytest.fixture
def bob(place: Place) -> Person:
    return place.bob


@pytest.fixture
def eve(place: Place) -> Person:
    return place.eve
