"""The event of a reaction is built from the request: it has the newest reaction, and not all that the message has."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.partial_reactions.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.partial_reactions"
    label = "partial_reactions"

    def ready(self) -> None:
        from groups.actions import reactions
        from groups.models import Message
        from groups.payloads import ReactionPayload, reaction_payloads

        def newest(message: Message) -> list[ReactionPayload]:
            return reaction_payloads(message)[-1:]

        reactions.reaction_payloads = newest  # type: ignore[attr-defined] # it is imported there, and not exported
