from collections.abc import Iterator
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from groups.models.name_key import NameKey
from groups.spelling import look_of, spelling_of


class User(AbstractUser):
    username_key = NameKey(of="username", by="spelling")
    username_look = NameKey(of="username", by="look")
    display_name = models.CharField(_("display name"), max_length=80, blank=True)
    avatar_digest = models.CharField(max_length=64, blank=True, editable=False)
    """Of the current `Avatar`. Its address holds it, so that browsers may keep it for ever."""
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    """A name of the IANA database, "Asia/Tokyo"; empty for that of the browser."""
    language = models.CharField(_("language"), max_length=8, blank=True)
    """A code of LANGUAGES; empty for that of the browser."""
    sign_ins_ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When the account was deactivated last: sign-ins from before do not come back with it."""
    demo = models.BooleanField(_("demo account"), default=False, help_text=_("May sign in only while DEBUG is on."))

    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(Lower("username"), name="one_user_per_name_in_any_case"),
            models.UniqueConstraint(fields=["username_key"], name="one_user_per_spelling_of_a_name"),
            models.UniqueConstraint(fields=["username_look"], name="one_user_per_look_of_a_name"),
        ]

    def clean(self) -> None:
        super().clean()
        # A form calls this even when the field itself refused what was typed, and then there is no name.
        if self.username:
            check_username(self.username, of=self)

    @property
    def shown_name(self) -> str:
        return self.display_name or self.username

    def get_session_auth_hash(self) -> str:
        return self._since_their_end(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._since_their_end, super().get_session_auth_fallback_hash())

    @property
    def avatar_url(self) -> str | None:
        return f"/avatars/{self.avatar_digest}" if self.avatar_digest else None

    @property
    def may_sign_in(self) -> bool:
        """Active, and not left over from a demo: its password is known to everybody."""
        return self.is_active and (settings.DEBUG or not self.demo)

    def _since_their_end(self, session_hash: str) -> str:
        ended_at = self.sign_ins_ended_at
        return session_hash if ended_at is None else f"{session_hash}:{ended_at.timestamp()}"


def check_username(username: str, *, of: User | None = None) -> None:
    """Raises ValidationError when nobody could tell a username from that of another user."""
    like = User.objects.filter(Q(username_key=spelling_of(username)) | Q(username_look=look_of(username)))
    if of is not None:
        like = like.exclude(pk=of.pk)
    other = like.values_list("username", flat=True).first()
    if other is not None:
        told = gettext("This looks like the name of @%(username)s. Choose another one.")
        raise ValidationError(told % {"username": other})
