"""Replay gives out the events as they were stored, whatever was deleted, edited or left since."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.open_replay.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.open_replay"
    label = "open_replay"

    def ready(self) -> None:
        from realtime import reading

        reading._REVISERS["user"] = lambda user_id, entries: list(entries)
