from datetime import timedelta
from typing import Any, TypedDict

from groups.actions.moderation import REASON_CHARACTERS, SILENCE, silence_member, unsilence_member
from groups.api.callers import user_of
from groups.api.fields import Text, Whole
from groups.api.workspaces import WorkspaceMemberParams
from groups.models import WorkspaceMember
from realtime import clock
from realtime.commands import Caller, method


class SilenceAnswer(TypedDict):
    workspace_id: int
    user_id: int
    silenced_until: str | None


class WorkspaceUnsilenceParams(WorkspaceMemberParams):
    reason = Text(max_length=REASON_CHARACTERS)


class WorkspaceSilenceParams(WorkspaceUnsilenceParams):
    minutes = Whole(min_value=1, max_value=SILENCE // timedelta(minutes=1))


@method("workspace.silence_member", params=WorkspaceSilenceParams, answer=SilenceAnswer, scope="write")
def silence(caller: Caller, params: dict[str, Any]) -> SilenceAnswer:
    """Let a member only read in a workspace for some minutes from now. The reason is for the audit log."""
    until = clock.now() + timedelta(minutes=params.pop("minutes"))
    return _silence(silence_member(moderator=user_of(caller), until=until, **params))


@method("workspace.unsilence_member", params=WorkspaceUnsilenceParams, answer=SilenceAnswer, scope="write")
def unsilence(caller: Caller, params: dict[str, Any]) -> SilenceAnswer:
    """Let a member write again. Of one who may write it changes nothing."""
    return _silence(unsilence_member(moderator=user_of(caller), **params))


def _silence(member: WorkspaceMember) -> SilenceAnswer:
    until = member.silenced_until
    return {
        "workspace_id": member.workspace_id,
        "user_id": member.user_id,
        "silenced_until": None if until is None else clock.stamp(until),
    }
