"""`make look-alikes`: write groups/look_alikes.json anew: which characters look alike, after Unicode's confusables.txt.

From the data of the package confusable_homoglyphs, which lists both directions of each pair. Of each set it writes the
one that stands for all (UTS 39 calls it the prototype) and the others: {"rn": "mⅿ𝐦...", "l": "1I|..."}.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "confusable_homoglyphs==3.3.1"
TO = Path(__file__).parent.parent / "groups" / "look_alikes.json"
MARKS = "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
"""Around what is written from right to left, so that confusables.txt can be read."""


def main() -> None:
    alike: dict[str, str] = {}
    for prototype, others in sorted(_prototypes(_pairs()).items()):
        alike[prototype] = "".join(sorted(others))
    rows = [
        f"{json.dumps(prototype, ensure_ascii=False)}: {json.dumps(them, ensure_ascii=False)}"
        for prototype, them in alike.items()
    ]
    TO.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    print(f"{TO.name}: {sum(map(len, alike.values()))} characters like {len(alike)} others, {TO.stat().st_size} bytes")


def _pairs() -> dict[str, set[str]]:
    """Each character or word with all that look like it."""
    with tempfile.TemporaryDirectory() as directory:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", directory, PACKAGE]
        subprocess.run(download, check=True)
        [wheel] = Path(directory).glob("*.whl")
        listed = json.loads(zipfile.ZipFile(wheel).read("confusable_homoglyphs/confusables.json"))
    return {_bare(one): {_bare(other["c"]) for other in others} for one, others in listed.items()}


def _bare(text: str) -> str:
    return text.strip(MARKS) or text


def _prototypes(pairs: dict[str, set[str]]) -> dict[str, set[str]]:
    """A character is like one prototype at most, so of a pair the prototype is the word, or what has more pairs."""
    sources: dict[str, str] = {}
    for one, others in pairs.items():
        if len(one) == 1 and len(others) == 1:
            [other] = others
            if len(other) > 1 or len(pairs[other]) > 1 or other < one:
                sources[one] = other
    prototypes: dict[str, set[str]] = {}
    for source, prototype in sources.items():
        prototypes.setdefault(prototype, set()).add(source)
    return prototypes


main()
