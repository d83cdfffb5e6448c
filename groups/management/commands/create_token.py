from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from groups.actions.tokens import create_token
from groups.models import User


class Command(BaseCommand):
    help = "Make an API token for a user and print it alone on standard output. It is not shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--scopes", default="read,write", help="some of read,write,moderate (read,write)")
        parser.add_argument("--days", type=int, default=30, help="how long it is valid (30)")
        parser.add_argument("--name", default="command line", help="what the owner sees in the list of their tokens")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(username__iexact=options["username"]).first()
        if owner is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        try:
            _token, secret = create_token(owner=owner, name=options["name"], scopes=scopes, days=options["days"])
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(secret)
