"""A lease ends with its connection: every drop, however short, is told to others."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.hasty_leases.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.hasty_leases"
    label = "hasty_leases"

    def ready(self) -> None:
        from realtime.leases import Held
        from realtime.leases_redis import RedisLeases

        def detach(self: RedisLeases, held: Held) -> bool:
            return self.drop(held)

        RedisLeases.detach = detach  # type: ignore[method-assign]
