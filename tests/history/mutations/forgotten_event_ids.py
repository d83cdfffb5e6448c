"""Redis does not remember which events it has: two workers that send the same outbox row append it twice."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.forgotten_event_ids.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.forgotten_event_ids"
    label = "forgotten_event_ids"

    def ready(self) -> None:
        from realtime import streams_redis

        once = "redis.call('SET', KEYS[i], ARGV[4 + 2 * i], 'NX', 'PX', ARGV[2])"
        always = "redis.call('SET', KEYS[i], ARGV[4 + 2 * i], 'PX', ARGV[2])"
        if once not in streams_redis.APPEND:
            raise RuntimeError("the script was rewritten, and this mutation must be")
        streams_redis.APPEND = streams_redis.APPEND.replace(once, always)
