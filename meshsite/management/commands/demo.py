from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from groups.models import User
from meshsite import demo


class Command(BaseCommand):
    help = "Load the demo into an empty database: users alice, bob, carol and dave, workspace General, #general."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing when there are users, or when DEMO is off"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["if_empty"] and not settings.DEMO:
            return
        if not User.objects.exists():
            demo.load()
        elif not options["if_empty"] and not User.objects.filter(demo=True).exists():
            raise CommandError("The database has users already; the demo is for an empty one. Nothing was changed.")
        self._tell_accounts()

    def _tell_accounts(self) -> None:
        names = list(User.objects.filter(demo=True, is_active=True).order_by("pk").values_list("username", flat=True))
        if names and settings.DEBUG:
            self.stdout.write(f"Demo accounts: {', '.join(names)}. Password of each: {demo.DEMO_PASSWORD}")
            self.stdout.write("alice may also sign in to the admin site as a moderator.")
        elif names:
            self.stdout.write("There are demo accounts, but nobody can sign in to them while DEBUG is off.")
