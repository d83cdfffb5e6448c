"""Redis does not remember which events it has: two workers that send the same outbox row append it twice."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.forgotten_event_ids.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.forgotten_event_ids"
    label = "forgotten_event_ids"

    def ready(self) -> None:
        from realtime import streams_redis

        once = "if not redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[3]) then return false end"
        always = "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])"
        if once not in streams_redis.APPEND:
            raise RuntimeError("the script was rewritten, and this mutation must be")
        streams_redis.APPEND = streams_redis.APPEND.replace(once, always)
