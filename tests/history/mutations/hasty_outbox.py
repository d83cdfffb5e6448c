"""The outbox row is deleted before its event is in the streams: an outage in between loses it."""

from django.apps import AppConfig

from meshsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.history.mutations.hasty_outbox.Mutation"]  # noqa: F405


class Mutation(AppConfig):
    name = "tests.history.mutations.hasty_outbox"
    label = "hasty_outbox"

    def ready(self) -> None:
        from realtime import relay
        from realtime.backends import streams
        from realtime.doorbell import ring
        from realtime.models import OutboxEvent

        def send(order: str, up_to: int) -> None:
            rows = list(OutboxEvent.objects.filter(order_key=order, pk__lte=up_to).order_by("pk"))
            if not rows:
                return
            OutboxEvent.objects.filter(pk__in=[row.pk for row in rows]).delete()
            ring(streams().append(list(zip(relay._entries(rows), map(relay._streams_of, rows), strict=True))))

        relay._send = send
