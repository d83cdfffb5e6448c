"""The versions of somebody who was gone begin again at 1: what is told of them looks old."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.reborn_versions.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.reborn_versions"
    label = "reborn_versions"

    def ready(self) -> None:
        from realtime import leases_redis

        rising = "math.max(holder.version + 1, lowest, now)"
        if rising not in leases_redis.CLAIM:
            raise RuntimeError("the script was rewritten, and this mutation must be")
        leases_redis.CLAIM = leases_redis.CLAIM.replace(rising, "holder.version + 1")
        leases_redis.SCRIPTS += (leases_redis.CLAIM,)  # type: ignore[assignment] # one more than mypy has counted
