import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from groups.audit import check_log


def anchor(text: str) -> tuple[int, str]:
    if not re.fullmatch(r"[1-9][0-9]{0,18}:[0-9a-f]{64}", text):
        raise ValueError(text)
    number, _colon, digest = text.partition(":")
    return int(number), digest


class Command(BaseCommand):
    help = (
        "Check that the audit log is whole: no entry changed, missing or cut off its end. "
        "Prints what is wrong, entry by entry, and ends with 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--expect",
            action="append",
            type=anchor,
            default=[],
            metavar="NUMBER:HASH",
            help="an entry that must be in the log with this hash, as the server's own log had it; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        end, faults = check_log(dict(options["expect"]))
        for fault in faults:
            self.stdout.write(fault)
        if faults:
            raise CommandError(f"The audit log is not whole: {len(faults)} faults.", returncode=1)
        self.stdout.write(f"The audit log is whole: {end.number} entries, the last is {end.number}:{end.hash}")
