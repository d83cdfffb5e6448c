"""When the last lease of somebody ends by its deadline, what was told of them is forgotten, and nobody is told."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.forgetful_sweep.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.forgetful_sweep"
    label = "forgetful_sweep"

    def ready(self) -> None:
        from realtime import leases_redis

        remembers = "  settle(name, holder)\nend\nreturn lapsed"
        forgets = "  if next(holder.leases) == nil then call('DEL', key(name)); holder = load(name) end\n"
        if remembers not in leases_redis.SWEEP:
            raise RuntimeError("the script was rewritten, and this mutation must be")
        leases_redis.SWEEP = leases_redis.SWEEP.replace(remembers, forgets + remembers)
        leases_redis.SCRIPTS += (leases_redis.SWEEP,)  # type: ignore[assignment] # one more than mypy has counted
