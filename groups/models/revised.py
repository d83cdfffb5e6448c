from django.db import models


class Revised(models.Model):
    """A row whose lock gives an order: to its changes, its members and the events of both."""

    rev = models.PositiveBigIntegerField(default=0, editable=False)
    """Rises with each change of the row, of what is in it and of its members, under the lock of this row."""
    members_rev = models.PositiveBigIntegerField(default=0, editable=False)
    """The rev of the last change of the members."""

    class Meta:
        abstract = True

    @property
    def order(self) -> str:
        """The order of events that are written under this row's lock: "channel:3"."""
        return f"{self._meta.model_name}:{self.pk}"

    def next_rev(self) -> int:
        """Count a change. The caller holds the lock and saves `rev`."""
        self.rev += 1
        return self.rev

    def next_members_rev(self) -> int:
        """Count a change of the members. The caller holds the lock and saves `rev` and `members_rev`."""
        self.members_rev = self.next_rev()
        return self.members_rev
