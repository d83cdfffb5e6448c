"""Who polls goes on behind the batch that the last page ended in, and misses the rest of it."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.torn_pages.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.torn_pages"
    label = "torn_pages"

    def ready(self) -> None:
        from groups.mesh import event_log
        from groups.models import MeshGroup

        number_of = event_log._number_of

        def behind_the_batch(group: MeshGroup, since: str, seq: int) -> int:
            number = number_of(group, since, seq)
            return number and number // event_log.PLACES * event_log.PLACES + event_log.PLACES - 1

        event_log._number_of = behind_the_batch
