"""A version is the time of the worker that found the change, whatever was told before, and their clocks are apart."""

import secrets

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.skewed_versions.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.skewed_versions"
    label = "skewed_versions"

    def ready(self) -> None:
        from realtime import leases_redis

        rising = "math.max(holder.version + 1, lowest, now)"
        if rising not in leases_redis.CLAIM:
            raise RuntimeError("the script was rewritten, and this mutation must be")
        skewed = f"now - {secrets.randbelow(3_600_000)}"
        leases_redis.CLAIM = leases_redis.CLAIM.replace(rising, skewed)
        leases_redis.SCRIPTS += (leases_redis.CLAIM,)  # type: ignore[assignment] # one more than mypy has counted
