"""The classroom system: groups that a host makes in a domain, the nodes in them and what these last reported."""

import uuid
import zlib
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from groups.models.user import User
from groups.models.workspace import Workspace
from realtime import clock

ID_CHARACTERS = 256
"""Of ids that clients choose, of names and of keys."""


class Ended(models.TextChoices):
    """How a group came to its end."""

    HOST = "host", _("dissolved by its host")
    TIME = "time", _("its time was over")
    SILENCE = "silence", _("its host was silent")


class MeshGroupQuerySet(models.QuerySet["MeshGroup"]):
    def there(self) -> Self:
        return self.filter(ended=None)

    def listed(self) -> Self:
        """Those that lists show: neither past their time nor with a silent host, one second stricter than `alive`."""
        now = _whole(clock.now())
        return self.there().filter(
            expires_at__gte=now + timedelta(seconds=1),
            heartbeat_at__gte=now - timedelta(seconds=settings.MESH_HOST_HEARTBEAT_TTL_SECONDS - 1),
        )


class MeshGroup(models.Model):
    """A group of nodes. Its row's lock gives the order of its `mesh:` stream."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    domain = models.CharField(_("domain"), max_length=ID_CHARACTERS, blank=True)
    name = models.CharField(_("name"), max_length=ID_CHARACTERS)
    host_id = models.CharField(_("host"), max_length=ID_CHARACTERS)
    """Chosen by the host's client; knowing it is the proof of being the host."""
    use_websocket = models.BooleanField(_("over WebSocket"), default=True)
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))
    """Set once: heartbeats do not move it."""
    heartbeat_at = models.DateTimeField(_("last sign of the host"))
    events_until = models.DateTimeField(null=True)
    """The newest time that an event of the log was given. Times of a log never decrease."""
    log_epoch = models.CharField(max_length=64, blank=True, editable=False)
    log_generation = models.PositiveIntegerField(default=0, editable=False)
    """Counts the epochs of its stream, so that a cursor of before a loss is before all that came since."""
    host_key = models.CharField(max_length=80, blank=True, editable=False)
    """The API key that it was made with: with another one nobody is its host."""
    ended = models.CharField(_("ended"), max_length=8, choices=Ended, null=True, blank=True)  # noqa: DJ001 - null: not yet
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = MeshGroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        indexes = [
            models.Index(fields=["domain", "created_at"], name="mesh_groups_by_domain"),
            models.Index(fields=["name"], name="mesh_groups_by_name"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["domain", "host_id"], condition=Q(ended=None), name="one_group_per_host_and_domain"
            ),
            models.CheckConstraint(
                condition=Q(ended=None, ended_at=None) | Q(ended__isnull=False, ended_at__isnull=False),
                name="an_end_of_a_group_has_a_moment_and_a_cause",
            ),
        ]

    def __str__(self) -> str:
        return self.full_id

    @property
    def full_id(self) -> str:
        """What its messages and errors call it: `id@domain`."""
        return f"{self.pk}@{self.domain}"

    @property
    def stream(self) -> str:
        """The name of its stream, which is the order of its events, too."""
        return f"mesh:{self.pk}"

    @property
    def listed(self) -> bool:
        """As the queryset's: one second stricter than neither expired nor silent."""
        now = _whole(clock.now())
        beaten = _whole(self.heartbeat_at) > now - timedelta(seconds=settings.MESH_HOST_HEARTBEAT_TTL_SECONDS)
        return self.ended is None and _whole(self.expires_at) > now and beaten

    @property
    def expired(self) -> bool:
        """Past its time. The very second of the limit is not past it."""
        return _whole(clock.now()) > _whole(self.expires_at)

    @property
    def silent(self) -> bool:
        """Its host gave no sign for too long."""
        patience = timedelta(seconds=settings.MESH_HOST_HEARTBEAT_TTL_SECONDS)
        return _whole(self.heartbeat_at) < _whole(clock.now()) - patience

    @property
    def polling_seconds(self) -> int | None:
        """What polling members are told; None in a group over WebSocket."""
        return None if self.use_websocket else settings.MESH_POLLING_INTERVAL_SECONDS


class MeshNodeQuerySet(models.QuerySet["MeshNode"]):
    def alive(self) -> Self:
        """The very second of the limit is still alive."""
        return self.filter(alive_until__gte=_whole(clock.now()))


class MeshNode(models.Model):
    """A member of a group. The host is none, unless it joins, too."""

    group = models.ForeignKey(MeshGroup, models.CASCADE, related_name="nodes")
    node_id = models.CharField(_("node"), max_length=ID_CHARACTERS)
    """Chosen by the client."""
    use_websocket = models.BooleanField(_("over WebSocket"), default=True)
    """What it was told to use."""
    joined_at = models.DateTimeField(_("joined at"))
    address = models.CharField(_("address"), max_length=64, blank=True)
    """Where it joined from."""
    subscribed_at = models.DateTimeField(_("subscribed at"), null=True, blank=True)
    """When a subscription to the group came from its address: there, WebSockets get through."""
    joined_after = models.PositiveBigIntegerField(default=0)
    """Where the group's log stood, as a number of cursors: what came later is news to it."""
    seen_at = models.DateTimeField(_("last seen"))
    alive_until = models.DateTimeField(_("alive until"))
    """Its lease: MESH_MEMBER_HEARTBEAT_TTL_SECONDS after it joined or its last heartbeat."""

    objects = MeshNodeQuerySet.as_manager()

    class Meta:
        verbose_name = _("node")
        verbose_name_plural = _("nodes")
        constraints = [models.UniqueConstraint(fields=["group", "node_id"], name="one_node_per_group_and_id")]
        indexes = [models.Index(fields=["node_id", "joined_at"], name="mesh_nodes_by_id")]

    def __str__(self) -> str:
        return self.node_id


class MeshValue(models.Model):
    """What a node, or the host, reported last under a key. It stays as long as the node."""

    group = models.ForeignKey(MeshGroup, models.CASCADE, related_name="values_reported")
    node_id = models.CharField(max_length=ID_CHARACTERS)
    key = models.CharField(max_length=ID_CHARACTERS)
    value = models.TextField(blank=True)
    reported_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "node_id", "key"], name="one_value_per_node_and_key")]

    def __str__(self) -> str:
        return f"{self.node_id}: {self.key}"


class MeshReceipt(models.Model):
    """That a node's event with this order key was taken, so that a retry brings it only once."""

    group = models.ForeignKey(MeshGroup, models.CASCADE, related_name="receipts")
    node_id = models.CharField(max_length=ID_CHARACTERS)
    order_key = models.CharField(max_length=ID_CHARACTERS)
    taken_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "node_id", "order_key"], name="one_receipt_per_node_and_order_key")
        ]

    def __str__(self) -> str:
        return f"{self.node_id}: {self.order_key}"


class MeshBinding(models.Model):
    """What a time that a polling client gave as its cursor stands for: a clock is no place in a log."""

    group = models.ForeignKey(MeshGroup, models.CASCADE, related_name="bindings")
    since = models.CharField(max_length=ID_CHARACTERS)
    after = models.PositiveBigIntegerField()
    """The place in the group's log that it means for the group's life, as a number of cursors."""
    node = models.ForeignKey(MeshNode, models.SET_NULL, null=True, related_name="bindings")
    """Whose joining was taken for its beginning."""
    bound_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "since"], name="one_binding_per_group_and_time")]

    def __str__(self) -> str:
        return f"{self.since} is {self.after}"


class MeshDomainQuerySet(models.QuerySet["MeshDomain"]):
    def open_to(self, user: User) -> Self:
        """The domains of workspaces that a user is a member of; of all for staff of the site."""
        return self if user.is_staff else self.filter(workspace__members__user=user)


class MeshDomain(models.Model):
    """What is known of a domain beside its groups. Domains exist without it."""

    name = models.CharField(_("domain"), max_length=ID_CHARACTERS, unique=True)
    polls = models.BooleanField(_("this school polls"), default=False)
    """Its network blocks WebSockets: everybody is told to poll."""
    workspace = models.ForeignKey(
        Workspace, models.SET_NULL, null=True, blank=True, related_name="mesh_domains", verbose_name=_("workspace")
    )
    """Whose owners, admins and moderators look after its groups."""

    objects = MeshDomainQuerySet.as_manager()

    class Meta:
        verbose_name = _("domain")
        verbose_name_plural = _("domains")

    def __str__(self) -> str:
        return self.name


class MeshKey(models.Model):
    """An API key of a school or class, beside those of MESH_API_KEYS. Its hash is stored; it is shown once."""

    label = models.CharField(_("label"), max_length=80)
    prefix = models.CharField(max_length=16, editable=False)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    domains = models.JSONField(_("domains"), default=list, blank=True)
    """It works only in these; in all when there is none."""
    workspace = models.ForeignKey(Workspace, models.CASCADE, null=True, blank=True, related_name="mesh_keys")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")

    def __str__(self) -> str:
        return f"{self.label} ({self.prefix}…)"

    @property
    def credential(self) -> str:
        """How sessions that it let in name it."""
        return f"mesh:key {self.pk}"


def domain_of(address: str) -> str:
    """The domain of all who come from an address: CRC-32 in hex without leading zeros. So a school finds itself."""
    return f"{zlib.crc32((settings.MESH_SECRET_KEY + (address or 'none')).encode()):x}"


def _whole(moment: datetime) -> datetime:
    """Liveness is compared in whole seconds."""
    return moment.replace(microsecond=0)
