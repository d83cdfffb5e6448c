"""Who was once a member stays in the lists of the workers, and goes on hearing of a channel after the removal."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.loyal_audiences.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.loyal_audiences"
    label = "loyal_audiences"

    def ready(self) -> None:
        from groups import audiences

        read = audiences._read

        def read_with_former(kind: str, pk: int) -> audiences._Known:
            before = audiences._known.get((kind, pk))
            found = read(kind, pk)
            if before is not None:
                joined_revs = before.joined_revs | found.joined_revs
                found = found._replace(joined_revs=joined_revs, everybody=tuple(joined_revs))
                audiences._known[kind, pk] = found
            return found

        audiences._read = read_with_former
