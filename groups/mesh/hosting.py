"""What hosts do, and how groups end. Behaviour and texts are those that shipped clients know.

Source: smalruby/mesh-v2; where we differ, docs/mesh-v2.md says why.
"""

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from groups.mesh.event_log import open_after_commit, open_stream
from groups.mesh.events import MeshGroupDissolved, tell_group
from groups.mesh.finding import GroupNotFound, NotTheHost, found_in, is_host, lock_live_group
from groups.mesh.texts import DOMAIN_UNITS, check_id, check_text, storable
from groups.models import MeshDomain, MeshGroup, MeshNode, MeshReceipt
from groups.models.mesh import ID_CHARACTERS, Ended
from realtime import clock

GROUPS_PER_DOMAIN = 1000
ENDED_KEPT = timedelta(days=1)
RECEIPTS_KEPT = timedelta(minutes=10)


def create_group(
    *, domain: str, name: str, host_id: str, max_seconds: int | None = None, use_websocket: bool = True, key: str = ""
) -> MeshGroup:
    """Make a group. While a host has one in a domain it gets that one, whatever else it asks for.

    `key` names the API key that it is made with, and that the host's other calls have to come with.

    Raises ValidationError.
    """
    if storable(domain, host_id):
        listed = MeshGroup.objects.listed().filter(domain=domain, host_id=host_id)
        if (group := listed.first()) is not None:
            return group
    _check_new(domain, name, host_id, max_seconds)
    if MeshDomain.objects.filter(name=domain, polls=True).exists():
        use_websocket = False
    now = clock.now()
    try:
        with transaction.atomic():
            mine = MeshGroup.objects.there().select_for_update().filter(domain=domain, host_id=host_id)
            if (dead := mine.first()) is not None:
                if dead.listed:
                    return dead  # the same host asked at the same moment, and made it meanwhile
                _end(dead, Ended.TIME if dead.expires_at < now + timedelta(seconds=1) else Ended.SILENCE)
            group = MeshGroup.objects.create(
                domain=domain,
                name=name,
                host_id=host_id,
                use_websocket=use_websocket,
                created_at=now,
                expires_at=now + timedelta(seconds=max_seconds or settings.MESH_MAX_CONNECTION_TIME_SECONDS),
                heartbeat_at=now,
                host_key=key,
            )
    except IntegrityError:
        # The same host asked at the same moment and was first, and it could not be seen yet.
        return create_group(
            domain=domain, name=name, host_id=host_id, max_seconds=max_seconds, use_websocket=use_websocket, key=key
        )
    open_stream(group)
    return group


def dissolve_group(*, group_id: str, domain: str, host_id: str, key: str = "") -> MeshGroupDissolved:
    """End the group. A group that ended by itself may be dissolved yet, for its host asks to.

    Raises ValidationError for an empty argument, GroupNotFound and NotTheHost.
    """
    for name, value in (("groupId", group_id), ("domain", domain), ("hostId", host_id)):
        if not value:
            raise ValidationError(f"{name} is required")
    with transaction.atomic():
        group = found_in(MeshGroup.objects.select_for_update(), group_id, domain)
        if group is None or group.ended == Ended.HOST:
            raise GroupNotFound(f"Group not found: {group_id}@{domain}")
        if not is_host(group, host_id, key):
            raise NotTheHost("Only the host can dissolve the group")
        return _end(group, Ended.HOST)


def renew_heartbeat(*, group_id: str, domain: str, host_id: str, key: str = "") -> MeshGroup:
    """A sign of life of the host. It does not move `expires_at`. Raises GroupNotFound and NotTheHost."""
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        if not is_host(group, host_id, key):
            raise NotTheHost("Only the host can renew the heartbeat")
        group.heartbeat_at = clock.now()
        group.save(update_fields=["heartbeat_at"])
    open_stream(group)
    return group


def sweep() -> int:
    """End groups that are over, and tell them; forget what nobody needs any more. How many ended."""
    now = clock.now()
    silent_since = now - timedelta(seconds=settings.MESH_HOST_HEARTBEAT_TTL_SECONDS)
    over = MeshGroup.objects.there().exclude(expires_at__gte=now, heartbeat_at__gte=silent_since)
    ended = 0
    for pk in list(over.values_list("pk", flat=True)):
        with transaction.atomic():
            # Under the lock again: of several workers one ends it, and a heartbeat may have come.
            group = MeshGroup.objects.there().select_for_update().filter(pk=pk).first()
            if group is not None and (group.expired or group.silent):
                _end(group, Ended.TIME if group.expired else Ended.SILENCE)
                ended += 1
    revivable = timedelta(seconds=settings.MESH_MEMBER_HEARTBEAT_TTL_SECONDS)
    MeshNode.objects.filter(alive_until__lt=now - revivable).delete()
    MeshReceipt.objects.filter(taken_at__lt=now - RECEIPTS_KEPT).delete()
    MeshGroup.objects.filter(ended_at__lt=now - ENDED_KEPT).delete()
    return ended


def _end(group: MeshGroup, how: Ended) -> MeshGroupDissolved:
    """End a locked group, and tell it. What its nodes reported goes; its log stays a while."""
    said = {
        Ended.HOST: "has been dissolved successfully.",
        Ended.TIME: "has been dissolved: its time was over.",
        Ended.SILENCE: "has been dissolved: its host was silent.",
    }
    now = clock.now()
    group.ended, group.ended_at = how, now
    group.save(update_fields=["ended", "ended_at"])
    group.nodes.all().delete()
    group.values_reported.all().delete()
    group.receipts.all().delete()
    message = f"Group {group.full_id} {said[how]}"
    dissolved = MeshGroupDissolved(str(group.pk), group.domain, message, clock.stamp(now))
    open_after_commit(group)
    tell_group(dissolved, group)
    return dissolved


def _check_new(domain: str, name: str, host_id: str, max_seconds: int | None) -> None:
    if len(domain.encode("utf-16-le", "surrogatepass")) // 2 > DOMAIN_UNITS:
        raise ValidationError(f"Domain must be {DOMAIN_UNITS} characters or less")
    check_text("domain", domain, ID_CHARACTERS)
    check_text("name", name, ID_CHARACTERS)
    check_id("hostId", host_id)
    if MeshGroup.objects.there().filter(domain=domain).count() >= GROUPS_PER_DOMAIN:
        raise ValidationError("This domain holds too many groups.")
    most = settings.MESH_MAX_CONNECTION_TIME_SECONDS
    if max_seconds is not None and max_seconds < 1:
        raise ValidationError("maxConnectionTimeSeconds must be at least 1")
    if max_seconds is not None and max_seconds > most:
        raise ValidationError(f"maxConnectionTimeSeconds cannot exceed {most}")
