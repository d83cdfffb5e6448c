from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from meshsite.protocol import documents


class Command(BaseCommand):
    help = "Write docs/asyncapi.json and the tables of docs/protocol.md and docs/roles.md from the code."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when they are stale")

    def handle(self, *args: Any, **options: Any) -> None:
        stale = [path for path, text in documents().items() if not path.exists() or path.read_text() != text]
        if options["check"] and stale:
            names = ", ".join(path.name for path in stale)
            raise CommandError(f"Stale: {names}. Run `manage.py write_protocol`.")
        for path in stale:
            path.write_text(documents()[path])
            self.stdout.write(f"wrote {path}")
