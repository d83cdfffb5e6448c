from django.contrib.auth.management.commands import createsuperuser
from django.core.exceptions import ValidationError

from groups.models.user import check_username


class Command(createsuperuser.Command):
    """Django's, which refuses also a name that looks like that of somebody else."""

    def _validate_username(self, username: str, verbose_field_name: str, database: str) -> str | None:
        # Not in the stubs, as it is private; it is what both ways of asking go through.
        refusal: str | None = super()._validate_username(username, verbose_field_name, database)  # type: ignore[misc]
        if refusal:
            return refusal
        try:
            check_username(username)
        except ValidationError as error:
            return " ".join(error.messages)
        return None
