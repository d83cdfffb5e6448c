from django.db import models


class OutboxEvent(models.Model):
    """An event that was committed with its change and is not yet in the streams.

    Rows of one `order_key` are written under one row lock, so their ids rise in the order of their commits.
    `body` is the event's frame without its opening brace, ready to follow a seq.
    """

    event_id = models.UUIDField(unique=True)
    order_key = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    body = models.TextField()
    about = models.JSONField()
    audience = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["order_key", "id"], name="outbox_in_order")]

    def __str__(self) -> str:
        return f"{self.name} of {self.order_key}"
