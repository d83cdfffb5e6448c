"""What teachers do: look after domains, let groups begin and end, make keys for classes.

Who may is decided by their role in the workspace that a domain is of; staff of the site may in all.
"""

from collections.abc import Sequence

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from groups import roles
from groups.actions.audit import record
from groups.actions.locks import lock_workspace
from groups.actions.moderation import checked_reason
from groups.mesh import classroom_readings, finding, hosting
from groups.mesh.keys import MadeKey, create_mesh_key, revoke_mesh_key
from groups.models import MeshDomain, MeshGroup, MeshKey, User, Workspace
from groups.models.audit import AuditAction
from groups.models.mesh import domain_of
from groups.roles import Deed
from realtime.errors import Conflict

LABEL_CHARACTERS = 80
KEYS = 200
"""Of one workspace at a time that work."""


def domain_for(teacher: User, name: str) -> MeshDomain:
    """A domain that somebody looks after. Raises MeshDomain.DoesNotExist and PermissionDenied."""
    domain = MeshDomain.objects.open_to(teacher).select_related("workspace").get(name=name)
    if domain.workspace is not None and not teacher.is_staff:
        roles.check(teacher, Deed.RUN_CLASSROOM, domain.workspace)
    return domain


def workspace_for(teacher: User, workspace_id: int) -> Workspace:
    """A workspace whose classrooms somebody looks after. Raises Workspace.DoesNotExist and PermissionDenied."""
    if teacher.is_staff:
        return Workspace.objects.get(pk=workspace_id)
    workspace = Workspace.objects.open_to(teacher).get(pk=workspace_id)
    roles.check(teacher, Deed.RUN_CLASSROOM, workspace)
    return workspace


def take_domain(*, taker: User, workspace_id: int, address: str) -> MeshDomain:
    """Take the domain of the caller's own address into a workspace, if nobody has it. A repeat changes nothing.

    Raises Conflict when another workspace was first.
    """
    if not address:
        # Else it would be the domain of all whose address is not known.
        raise PermissionDenied(_("Your address is not known here, so no domain is yours."))
    with transaction.atomic():
        workspace = lock_workspace(taker, workspace_id)
        roles.check(taker, Deed.TAKE_DOMAIN, workspace)
        MeshDomain.objects.get_or_create(name=domain_of(address))
        domain = MeshDomain.objects.select_for_update().get(name=domain_of(address))
        if domain.workspace_id not in (None, workspace_id):
            raise Conflict("domain_taken", _("Another workspace looks after this domain. Ask the staff of the site."))
        domain.workspace = workspace
        domain.save(update_fields=["workspace"])
    return domain


def assign_domain(*, moderator: User, name: str, workspace_id: int | None, reason: str) -> MeshDomain:
    """Give a domain to a workspace, or to none. For staff of the site; the admin site checked that they are.

    Keys that the workspace of before made for it end: they are in other hands. The same again changes nothing.
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        workspace = None if workspace_id is None else Workspace.objects.select_for_update().get(pk=workspace_id)
        MeshDomain.objects.get_or_create(name=name)
        domain = MeshDomain.objects.select_for_update().get(name=name)
        before, domain.workspace = domain.workspace_id, workspace
        if before == workspace_id:
            return domain
        domain.save(update_fields=["workspace"])
        for key in MeshKey.objects.filter(workspace=before, revoked_at=None).exclude(workspace=None):
            if name in key.domains:
                revoke_mesh_key(key=key)
        record(
            actor=moderator,
            action=AuditAction.DOMAIN_ASSIGNED,
            target=f"meshdomain:{domain.pk}",
            workspace_id=workspace_id,
            reason=reason,
            former_workspace_id=before,
        )
    return domain


def end_key(*, moderator: User, key_id: int, reason: str) -> MeshKey:
    """`revoke_key` for staff of the site, in whichever workspace."""
    reason = checked_reason(reason)
    with transaction.atomic():
        key = MeshKey.objects.select_for_update().get(pk=key_id)
        if key.revoked_at is None:
            revoke_mesh_key(key=key)
            record(
                actor=moderator,
                action=AuditAction.KEY_REVOKED,
                target=f"meshkey:{key.pk}",
                workspace_id=key.workspace_id,
                reason=reason,
            )
    key.refresh_from_db()
    return key


def set_polls(*, teacher: User, domain: str, polls: bool) -> MeshDomain:
    """Say whether everybody in a domain is told to poll from now on. Who is there already goes on as they are."""
    found = domain_for(teacher, domain)
    MeshDomain.objects.filter(pk=found.pk).update(polls=polls)
    found.polls = polls
    return found


def start_group(*, teacher: User, domain: str, host_id: str, name: str = "", use_websocket: bool = True) -> MeshGroup:
    """Make a group whose host is the teacher's page. The same `host_id` again gets the same group.

    Without a name it is called as its host is, as editors name theirs: pupils find it by the beginning.
    """
    domain_for(teacher, domain)
    return hosting.create_group(
        domain=domain,
        name=name.strip() or host_id,
        host_id=host_id,
        use_websocket=use_websocket,
        key=_host_key(teacher),
    )


def hosted_groups(teacher: User) -> list[MeshGroup]:
    """The living groups that pages of the teacher started, in whichever of their domains."""
    return classroom_readings.hosted_by(teacher, _host_key(teacher))


def keep_group(*, teacher: User, domain: str, group_id: str) -> MeshGroup:
    """A sign of life of the host, for a group that the teacher started. Raises NotTheHost for any other."""
    domain_for(teacher, domain)
    group = finding.live_group(group_id, domain)
    if not hosts(teacher, group):
        raise finding.NotTheHost(_("Only who started the group keeps it alive."))
    return hosting.renew_heartbeat(group_id=group_id, domain=domain, host_id=group.host_id, key=_host_key(teacher))


def stop_group(*, teacher: User, domain: str, group_id: str) -> MeshGroup:
    """End a group, whoever is its host. One that is over stays as it is."""
    domain_for(teacher, domain)
    group = finding.found_group(group_id, domain, over_too=True)
    if group is None:
        raise MeshGroup.DoesNotExist
    with transaction.atomic():
        group = MeshGroup.objects.select_for_update().get(pk=group.pk)
        if group.ended is None:
            hosting.dissolve_group(group_id=group_id, domain=domain, host_id=group.host_id)
            group.refresh_from_db()
    return group


def hosts(teacher: User, group: MeshGroup) -> bool:
    """Whether a page of the teacher is its host."""
    return group.host_key == _host_key(teacher)


def make_key(*, teacher: User, workspace_id: int, label: str, domains: Sequence[str]) -> MadeKey:
    """Make a key for a class. It works in domains of the workspace alone. The secret is shown once."""
    label = label.strip()
    if not label:
        raise ValidationError({"label": _("Say for whom the key is, so that you know it again.")})
    if len(label) > LABEL_CHARACTERS:
        raise ValidationError({"label": _("At most %(limit)d characters.") % {"limit": LABEL_CHARACTERS}})
    wanted = set(domains)
    if not wanted:
        # A key without domains would work in those of others, too.
        raise ValidationError({"domains": _("Choose a domain.")})
    with transaction.atomic():
        workspace = Workspace.objects.select_for_update().get(pk=workspace_for(teacher, workspace_id).pk)
        if workspace.mesh_domains.filter(name__in=wanted).count() != len(wanted):
            raise MeshDomain.DoesNotExist
        if workspace.mesh_keys.filter(revoked_at=None).count() >= KEYS:
            raise Conflict("too_many_keys", _("There are too many keys. Revoke some first."))
        return create_mesh_key(creator=teacher, label=label, domains=sorted(wanted), workspace=workspace)


def revoke_key(*, teacher: User, key_id: int) -> MeshKey:
    """End a key now, with what it opened. Revoking it again changes nothing."""
    key = MeshKey.objects.exclude(workspace=None).get(pk=key_id)
    try:
        workspace_for(teacher, key.workspace_id or 0)
    except Workspace.DoesNotExist:
        raise MeshKey.DoesNotExist from None
    revoke_mesh_key(key=key)
    key.refresh_from_db()
    return key


def _host_key(teacher: User) -> str:
    """No API key is called so: whoever knows the host's id from a list, but not the account, is not the host."""
    return f"user {teacher.pk}"
