"""What a run did and survived, for people."""

from tests.history.journal import Journal

VIOLATIONS_SHOWN = 12


def report(title: str, journal: Journal) -> str:
    lines = [title, *(f"  {count:7} {what}" for what, count in sorted(journal.counts.items()))]
    kinds = sorted({violation.kind for violation in journal.violations})
    found = ", ".join(f"{sum(one.kind == kind for one in journal.violations)} {kind}" for kind in kinds)
    return "\n".join([*lines, f"  violations: {found or 'none'}"])


def violations(journal: Journal) -> str:
    """The first of them, one a line."""
    shown = [f"{kind}: {what[:600]}" for kind, what in journal.violations[:VIOLATIONS_SHOWN]]
    return "\n".join([f"{len(journal.violations)} violations", *shown])
