import base64
import binascii
from typing import Any, TypedDict

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _
from rest_framework import serializers

from groups.actions.profiles import set_avatar, update_profile
from groups.api.callers import user_of
from groups.api.fields import Text, cursor_field, id_field, limit_field
from groups.avatars import AVATAR_BYTES
from groups.models import User, Workspace, WorkspaceMember, people
from groups.payloads import MePayload, ProfilePayload, me_payload, profile_payload
from groups.roles import Deed, allowed_over
from realtime import clock
from realtime.commands import Caller, Params, method

BASE64_CHARACTERS = -(-AVATAR_BYTES // 3) * 4


class MeAnswer(TypedDict):
    user: MePayload


class UserAnswer(TypedDict):
    user: ProfilePayload


class ListedPayload(ProfilePayload):
    role: str
    """In the workspace that was asked for."""
    silenced_until: str | None
    """A moderator lets them only read there until then; it may be over. Only for who may end it, else null."""


class UsersAnswer(TypedDict):
    users: list[ListedPayload]
    has_more: bool
    next_after_id: int


class MeParams(Params):
    pass


@method("user.me", params=MeParams, answer=MeAnswer, scope="read")
def me(caller: Caller, params: dict[str, Any]) -> MeAnswer:
    """Who I am."""
    return {"user": me_payload(user_of(caller))}


class UserParams(Params):
    user_id = id_field()


@method("user.get", params=UserParams, answer=UserAnswer, scope="read")
def get(caller: Caller, params: dict[str, Any]) -> UserAnswer:
    """Somebody who shares a workspace with me; for guests, who shares a channel with me."""
    user, user_id = user_of(caller), params["user_id"]
    seen = people.visible_to(user.pk).filter(user=user_id).values("user")
    return {"user": profile_payload(User.objects.get(Q(pk__in=seen) | Q(pk=user.pk), pk=user_id))}


class UserListParams(Params):
    workspace_id = id_field()
    query = Text(max_length=80, required=False, allow_blank=True, default="")
    after_id = cursor_field(default=0)
    limit = limit_field(default=100)


@method("user.list", params=UserListParams, answer=UsersAnswer, scope="read")
def list_users(caller: Caller, params: dict[str, Any]) -> UsersAnswer:
    """The members of a workspace whom I see, by id, from `after_id` on; with `query` those who have it in a name."""
    user = user_of(caller)
    workspace_id = params["workspace_id"]
    role = Workspace.objects.open_to(user).values_list("members__role", flat=True).get(pk=workspace_id)
    found = people.visible_to(user.pk).filter(workspace=workspace_id, user__gt=params["after_id"])
    if query := params["query"].strip().removeprefix("@"):
        found = found.filter(Q(user__username__icontains=query) | Q(user__display_name__icontains=query))
    rows = list(found.select_related("user").order_by("user")[: params["limit"] + 1])
    page = rows[: params["limit"]]
    return {
        "users": [_listed(row, role) for row in page],
        "has_more": len(rows) > len(page),
        "next_after_id": page[-1].user_id if page else params["after_id"],
    }


def _listed(member: WorkspaceMember, role: str) -> ListedPayload:
    """One of the list that somebody with this role asked for."""
    until = member.silenced_until if allowed_over(Deed.SILENCE_MEMBER, role, member.role) else None
    return {
        **profile_payload(member.user),
        "role": member.role,
        "silenced_until": None if until is None else clock.stamp(until),
    }


class UserUpdateParams(Params):
    display_name = Text(max_length=400, required=False, allow_blank=True)
    time_zone = Text(max_length=64, required=False, allow_blank=True)
    language = Text(max_length=8, required=False, allow_blank=True)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if not values:
            raise serializers.ValidationError(_("Give one of display_name, time_zone and language."))
        return values


@method("user.update", params=UserUpdateParams, answer=MeAnswer, scope="write")
def update(caller: Caller, params: dict[str, Any]) -> MeAnswer:
    """Change my profile. "" clears: then my username is shown, and my browser decides on the language and the time."""
    return {"user": me_payload(update_profile(user=user_of(caller), **params))}


class AvatarParams(Params):
    image = Text(max_length=BASE64_CHARACTERS, allow_blank=True, allow_null=True)


@method("user.set_avatar", params=AvatarParams, answer=MeAnswer, scope="write")
def change_avatar(caller: Caller, params: dict[str, Any]) -> MeAnswer:
    """Show a picture beside my name: PNG, JPEG or WebP of up to 512 kB, in base64; or none, with null."""
    image = params["image"]
    return {"user": me_payload(set_avatar(user=user_of(caller), image=None if image is None else _decoded(image)))}


def _decoded(image: str) -> bytes:
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise ValidationError({"image": ValidationError(_("This is not base64."), code="bad_image")}) from None
