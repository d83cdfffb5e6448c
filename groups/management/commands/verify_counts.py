from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from groups.actions.verifying import Difference, differences, mend_apart, mend_channel


class Command(BaseCommand):
    help = (
        "Recount everything that is stored beside its truth, while the server runs. Prints each difference on a line, "
        "and ends with 1 when there are some, or some are left."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fix", action="store_true", help="mend what differs, and tell open clients")

    def handle(self, *args: Any, **options: Any) -> None:
        found = self._look()
        if found and options["fix"]:
            for channel_id in sorted({one.channel_id for one in found if one.channel_id is not None}):
                mend_channel(channel_id)
            mend_apart()
            self.stdout.write(f"{len(found)} differences were found. Looking again:")
            found = self._look()
        if found:
            raise CommandError(f"{len(found)} differences. With --fix they are mended.", returncode=1)
        self.stdout.write("Nothing differs.")

    def _look(self) -> list[Difference]:
        found = list(differences())
        for difference in found:
            self.stdout.write(difference.told)
        return found
