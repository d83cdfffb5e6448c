from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from groups.actions.users import deactivate_user
from groups.models import User
from realtime.errors import Conflict


class Command(BaseCommand):
    help = "End an account: sign-ins, tokens, invites and everything it has open. What it wrote stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--reason", default="command line", help="what the audit log says (command line)")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username__iexact=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        try:
            deactivate_user(user=user, reason=options["reason"])
        except Conflict as conflict:
            raise CommandError(str(conflict)) from None
        self.stdout.write(f"{user.username} is deactivated.")
