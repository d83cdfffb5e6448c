from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from groups.actions.users import reactivate_user
from groups.models import User


class Command(BaseCommand):
    help = "Let somebody whose account was deactivated sign in again. Their tokens do not come back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--reason", default="command line", help="what the audit log says (command line)")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username__iexact=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        reactivate_user(user=user, reason=options["reason"])
        self.stdout.write(f"{user.username} may sign in again.")
