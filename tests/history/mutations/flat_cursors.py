"""A read cursor that moves keeps its version, so that of two positions nobody can tell which is true."""

from typing import Any

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.flat_cursors.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.flat_cursors"
    label = "flat_cursors"

    def ready(self) -> None:
        from groups.models import ReadCursor

        save = ReadCursor.save

        def save_flat(self: ReadCursor, **options: Any) -> None:
            self.version -= 1
            save(self, **options)

        ReadCursor.save = save_flat  # type: ignore[assignment] # it is only called with keywords
