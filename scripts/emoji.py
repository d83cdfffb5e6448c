"""`make emoji`: write static/emoji/ anew from npm's emojibase-data: what the picker shows and the server accepts.

One file per language, en.json and ja.json, with the same emoji in the same order:

    {"groups": ["Smileys & emotion", ...],
     "emoji": [["👍", "thumbs up", ["+1", "good", ...], 1, ["👍🏻", "👍🏼", "👍🏽", "👍🏾", "👍🏿"]], ...]}

Of each emoji the canonical form (what Unicode calls fully qualified), its name, further words to search by, the index
of its group, and its variants with a skin tone: light to dark first, then, where it shows two people, the mixed ones.
"""

import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "emojibase-data@17.0.0"
TO = Path(__file__).parent.parent / "static" / "emoji"
GROUPS = {
    "en": "Smileys, People, Animals and nature, Food and drink, Travel and places, Activities, Objects, Symbols, Flags",
    "ja": "顔と気持ち, 人と体, 動物と自然, 食べ物と飲み物, 旅行と場所, 活動, 物, 記号, 旗",
}
"""Our own words: those of the package are CLDR's, of which some were translated without their context."""
COMPONENTS = 2
"""The package's group of lone skin tones and hair, which are no emoji by themselves."""
VARIATION = "\N{VARIATION SELECTOR-16}"

Row = tuple[str, str, list[str], int, list[str]]


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        package = _unpacked(Path(directory))
        for language, groups in GROUPS.items():
            rows = _rows(package, language)
            path = TO / f"{language}.json"
            path.write_text(_one_row_per_line(groups.split(", "), rows), encoding="utf-8")
            print(f"{path.relative_to(TO.parent.parent)}: {len(rows)} emoji, {path.stat().st_size} bytes")
        licence = (package / "LICENSE").read_text(encoding="utf-8").strip()
    (TO / "LICENSE.txt").write_text(f"The JSON files are made from npm's {PACKAGE}:\n\n{licence}\n", encoding="utf-8")


def _unpacked(directory: Path) -> Path:
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    [archive] = directory.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    return directory / "package"


def _rows(package: Path, language: str) -> list[Row]:
    emoji = [row for row in _read(package / language / "data.json") if row.get("group", COMPONENTS) != COMPONENTS]
    # The names that people know from other chats, ":tada:", are found in every language.
    shortcodes = _read(package / "en" / "shortcodes" / "github.json")
    return [
        (
            _canonical(row),
            row["label"],
            _words(row, shortcodes.get(row["hexcode"], [])),
            row["group"] - (row["group"] > COMPONENTS),
            [_canonical(skin) for skin in sorted(row.get("skins", []), key=_mixed)],
        )
        for row in sorted(emoji, key=lambda row: row["order"])
    ]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _canonical(row: dict[str, Any]) -> str:
    """The fully qualified form: the package's `emoji` has a variation selector where none is needed, too."""
    text = "".join(chr(int(code, 16)) for code in row["hexcode"].split("-"))
    shown_as_text_by_default = row["type"] == 0
    return text + VARIATION if len(text) == 1 and shown_as_text_by_default else text


def _words(row: dict[str, Any], shortcodes: str | list[str]) -> list[str]:
    """To search by beside the name; without those that are in it."""
    codes = [shortcodes] if isinstance(shortcodes, str) else shortcodes
    words = dict.fromkeys([*row.get("tags", []), *codes])
    return [word for word in words if word not in row["label"].split()]


def _mixed(skin: dict[str, Any]) -> bool:
    """The tones of two people that differ; equal ones are one number."""
    return isinstance(skin["tone"], list)


def _one_row_per_line(groups: list[str], rows: list[Row]) -> str:
    """So that the difference to the next edition can be read."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return f'{{"groups":{json.dumps(groups, ensure_ascii=False)},\n"emoji":[\n{lines}\n]}}\n'


if __name__ == "__main__":
    main()
