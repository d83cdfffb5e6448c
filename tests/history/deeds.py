"""What people do, and how often."""

from collections.abc import Mapping

from tests.history import comings, conversation
from tests.history.people import Deed, Person

TALK: Mapping[Deed, int] = {
    Person.send: 40,
    Person.reply: 12,
    Person.edit: 12,
    Person.delete: 6,
    Person.regret: 4,
    Person.leave: 4,
    Person.join: 10,
    Person.read: 10,
    Person.unread: 5,
}
"""Where it is looked at what is told of messages."""
DEEDS: Mapping[Deed, int] = {
    **TALK,
    conversation.react: 8,
    conversation.unreact: 3,
    conversation.toggle: 4,
    conversation.pin: 3,
    conversation.unpin: 2,
    conversation.follow: 3,
    conversation.unfollow: 2,
    conversation.read_thread: 5,
    conversation.mute: 3,
    conversation.peek: 2,
    conversation.be_called: 1,
    comings.add: 6,
    comings.remove: 8,
    comings.open_direct: 3,
    comings.rename: 5,
    comings.moderate: 4,
    comings.set_role: 6,
    comings.send_away: 4,
    comings.leave_workspace: 1,
    Person.say: 1,
    Person.be_away: 3,
    Person.go: 4,
}
COMING_AND_GOING: Mapping[Deed, int] = {Person.send: 4, Person.say: 1, Person.be_away: 2, Person.go: 5}
"""What they do where presence is looked at above all."""
