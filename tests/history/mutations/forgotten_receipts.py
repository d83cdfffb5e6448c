"""What came is forgotten at the next sweep: a batch that comes again, because its answer was lost, is told again."""

from datetime import timedelta

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.forgotten_receipts.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.forgotten_receipts"
    label = "forgotten_receipts"

    def ready(self) -> None:
        from groups.mesh import hosting

        hosting.RECEIPTS_KEPT = timedelta()
