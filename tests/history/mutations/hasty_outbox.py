"""The outbox row is deleted before its event is in the streams: an outage in between loses it."""

from collections.abc import Iterable

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

        def send(orders: Iterable[str], up_to: int) -> None:
            pending = OutboxEvent.objects.filter(order_key__in=list(orders), pk__lte=up_to).order_by("pk")
            rows = list(map(relay._Row._make, pending.values_list(*relay._Row._fields)))
            if not rows:
                return
            OutboxEvent.objects.filter(pk__in=[row.pk for row in rows]).delete()
            to = [relay.streams_of(row.audience) for row in rows]
            ring(streams().append(list(zip(relay._entries(rows), to, strict=True))))

        relay._send = send
