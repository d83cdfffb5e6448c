"""From the rows of a run to tables and plots, and into docs/performance.md."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, get_args

from bench import plots
from bench.load import BENCH
from bench.scenarios import PRESENCE_MEMBERS, Row
from bench.servers import Database

ROOT: Final = BENCH.parent
PAGE: Final = ROOT / "docs" / "performance.md"
IMAGES: Final = ROOT / "docs" / "images"
OURS: Final = "Meshsite"
BEGIN, END = "<!-- figures: `make bench BENCH=--publish` -->", "<!-- end of figures -->"


class Goal(NamedTuple):
    """What is wanted of us. `most` is an upper bound, otherwise the limit is a lower one."""

    what: str
    limit: float
    scenario: str
    figure: str
    most: bool = True
    database: str | None = None
    together: bool = False
    """Of sends: whether all write in one channel and each is told to all, or each writes in a channel of their own."""

    def met(self, value: float) -> bool:
        return value <= self.limit if self.most else value >= self.limit


GOALS: Final = (
    Goal("CPU per delivered event, paced, µs", 8, "fan-out, paced", "us_per_event"),
    Goal("CPU per delivered event, saturated, µs", 2, "fan-out, saturated", "us_per_event"),
    Goal("memory per idle socket, kB", 28, "connect", "kb_per_socket"),
    Goal("CPU per connect, ms", 1, "connect", "ms_per_connect"),
    Goal("CPU per long-poll cycle, ms", 0.2, "long-poll", "ms_per_cycle"),
    Goal("memory per parked poll, kB", 12, "long-poll", "kb_per_poll"),
    *(
        Goal(
            f"message.send on {database}, {'one channel' if together else 'many channels'}, per second",
            2000,
            "message.send",
            "sends_per_second",
            most=False,
            database=database,
            together=together,
        )
        for database in get_args(Database)
        for together in (True, False)
    ),
    Goal(
        "10 classes of 40, half polling, to a socket, p95 ms",
        100,
        "classroom, half poll",
        "frame_p95_ms",
        database="SQLite",
    ),
)


def publish(results: dict[str, Any]) -> None:
    """Keep the raw figures, and renew the page and its plots."""
    day = results["about"]["at"][:10]
    kept = BENCH / "results" / f"{day}.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(results, indent=1) + "\n")
    for name, picture in pictures(results["rows"]).items():
        (IMAGES / f"bench-{name}.svg").write_text(picture)
    old = PAGE.read_text()
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    new, count = pattern.subn(lambda _: f"{BEGIN}\n\n{tables(results)}\n{END}", old)
    if count != 1:
        raise RuntimeError(f"{PAGE.name} has no place for the figures, or several")
    PAGE.write_text(new)


def line_of(row: Row) -> str:
    """One row for somebody who watches the run."""
    figures = (f"{name} {_short(value)}" for name, value in row.items() if isinstance(value, int | float))
    words = (str(row[name]) for name in ("server", "scenario", "database", "streams") if name in row)
    return f"{', '.join(words)}: {', '.join(figures)}"


def tables(results: dict[str, Any]) -> str:
    rows: list[Row] = results["rows"]
    return "\n".join(
        [
            _about(results["about"]),
            _goals(rows),
            "### Fan-out\n",
            _fan_out(rows),
            "### message.send\n",
            _sends(rows),
            "### Presence\n",
            _presence(rows),
            "### Classrooms\n",
            _classrooms(rows),
        ]
    )


def pictures(rows: list[Row]) -> dict[str, str]:
    fan_out = [row for row in rows if row["scenario"] == "fan-out, paced"]
    fast = {row["server"]: row for row in rows if row["scenario"] == "fan-out, saturated"}
    connects = [row for row in rows if row["scenario"] == "connect"]
    sends = [row for row in rows if row["scenario"] == "message.send" and row["recipients"] > 1]
    presence = [row for row in rows if row["scenario"] == "presence" and _by_the_rule(row)]
    alone = {_stores(row): row["sends_per_second"] for row in rows if row.get("recipients") == 1}
    return {
        "fan-out": plots.bars(
            "CPU of the server per delivered event, µs (logarithmic)",
            [(row["server"], [row["us_per_event"], fast[row["server"]]["us_per_event"]]) for row in fan_out],
            ["paced", "saturated"],
            logarithmic=True,
        ),
        "latency": plots.bars(
            "From publish to a recipient's read when paced, ms (logarithmic)",
            [(row["server"], [row["p50_ms"], row["p99_ms"]]) for row in fan_out],
            ["half of them within", "99 of 100 within"],
            logarithmic=True,
        ),
        "sockets": plots.bars(
            "Memory per idle socket, kB", [(row["server"], [row["kb_per_socket"]]) for row in connects], ["kB"]
        ),
        "send": plots.bars(
            "message.send over the socket, per second",
            [
                (f"{row['database']}, streams in {row['streams']}", [row["sends_per_second"], alone[_stores(row)]])
                for row in sends
            ],
            ["all in one channel", "each in a channel of their own"],
        ),
        "presence": plots.bars(
            "Events for each who comes or goes (logarithmic)",
            [(f"{row['online']:,} online", [row["told_per_change"], row["online"]]) for row in presence],
            ["told", "computed: everybody told"],
            logarithmic=True,
        ),
    }


def _by_the_rule(row: Row) -> bool:
    """Not the row that shows what it would cost without it, nor the one of another store."""
    small: bool = row["online"] <= PRESENCE_MEMBERS
    return row["streams"] == "memory" and row["everybody"] is small


def _stores(row: Row) -> tuple[str, str]:
    return row["database"], row["streams"]


def _about(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"Measured {about['at'][:10]} at commit {about['commit']} in {about['minutes']:g} minutes with `make bench`. "
        f"{about['cores']} cores of {about['processor']}, {about['memory_gb']} GB, {about['system']}. {versions}. "
        f"Load average {about['load_average_before']:.1f} before, {about['load_average_after']:.1f} after; "
        f"a fixed loop on the server's core took {about['loop_ms_before']:.0f} and {about['loop_ms_after']:.0f} ms.\n"
    )


def _goals(rows: list[Row]) -> str:
    names = list(dict.fromkeys(row["server"] for row in rows if row["server"] != OURS))
    table = [["", "target", OURS, "met", *names]]
    for goal in GOALS:
        values = {row["server"]: row[goal.figure] for row in rows if _counts(row, goal)}
        limit = f"{'at most' if goal.most else 'at least'} {goal.limit:,g}"
        met = "yes" if goal.met(values[OURS]) else "**no**"
        others = [_short(values[name]) if name in values else "" for name in names]
        table.append([goal.what, limit, f"**{_short(values[OURS])}**", met, *others])
    return _table(table)


def _counts(row: Row, goal: Goal) -> bool:
    """Of sends those with streams in memory, as the targets are for one worker."""
    if row["scenario"] != goal.scenario:
        return False
    of = (row.get("database"), row.get("streams"), row.get("recipients", 0) > 1)
    return goal.database is None or of == (goal.database, "memory", goal.together)


def _fan_out(rows: list[Row]) -> str:
    table = [
        [
            "",
            "",
            "published /s",
            "delivered /s",
            "µs per event",
            "all turns",
            "with the send",
            "p50 ms",
            "p99 ms",
            "others",
        ]
    ]
    for row in rows:
        if row["scenario"].startswith("fan-out"):
            turns = " ".join(_short(turn) for turn in row["us_per_event_of_all_turns"])
            names = ("published_per_second", "delivered_per_second", "us_per_event")
            last = ("us_per_event_with_the_send", "p50_ms", "p99_ms")
            figures = [*(_short(row[name]) for name in names), turns, *(_short(row[name]) for name in last)]
            table.append([row["server"], row["scenario"].partition(", ")[2], *figures, _percent(row["others"])])
    return _table(table)


def _sends(rows: list[Row]) -> str:
    table = [
        [
            "database",
            "streams",
            "told each time",
            "sends /s",
            "all turns",
            "CPU ms per send",
            "CPU ms beside",
            "p50 ms",
            "p99 ms",
            "others",
        ]
    ]
    for row in rows:
        if row["scenario"] == "message.send":
            beside = ", ".join(f"{name} {_short(ms)}" for name, ms in row["ms_per_send_beside"].items())
            turns = " ".join(_short(turn) for turn in row["sends_per_second_of_all_turns"])
            figures = [_short(row["sends_per_second"]), turns, _short(row["ms_per_send"]), beside]
            last = (_short(row["p50_ms"]), _short(row["p99_ms"]), _percent(row["others"]))
            told = f"{row['recipients']} of {row['senders']}"
            table.append([row["database"], row["streams"], told, *figures, *last])
    return _table(table)


def _presence(rows: list[Row]) -> str:
    changes = [
        [
            "online",
            "told of a change",
            "streams",
            "events per change",
            "with everybody told, computed",
            "kB per change",
            "CPU ms per change",
            "of it to tell",
            "CPU ms beside",
            "others",
        ]
    ]
    arrivals = [
        [
            "online",
            "told of a change",
            "streams",
            "events per arrival",
            "kB per arrival",
            "CPU ms per arrival",
            "drops",
            "events per drop",
            "CPU ms per drop",
        ]
    ]
    for row in rows:
        if row["scenario"] == "presence":
            told = "all members" if row["everybody"] else f"{row['watched']} who watch"
            first = [f"{row['online']:,}", told, row["streams"]]
            change = (row["told_per_change"], row["online"], row["kb_told_per_change"], row["ms_per_change"])
            beside = ", ".join(f"{name} {_short(ms)}" for name, ms in row["ms_per_change_beside"].items())
            last = (_short(row["ms_told_per_change"]), beside, _percent(row["others"]))
            changes.append([*first, *map(_short, change), *last])
            arrival = (row["told_per_arrival"], row["kb_per_arrival"], row["ms_per_arrival"])
            drops = (f"{row['drops']:,}", f"{row['told_of_drops'] / row['drops']:g}", _short(row["ms_per_drop"]))
            arrivals.append([*first, *map(_short, arrival), *drops])
    return f"{_table(changes)}\n{_table(arrivals)}"


def _classrooms(rows: list[Row]) -> str:
    table = [
        [
            "",
            "database",
            "streams",
            "told /s",
            "frames /s",
            "polls /s",
            "share of a core",
            "CPU ms per call and poll",
            "CPU µs per frame, with all",
            "CPU ms beside",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "a poll, p95 ms",
            "others",
        ]
    ]
    for row in rows:
        if row["scenario"].startswith("classroom"):
            names = ("published_per_second", "frames_per_second", "polls_per_second")
            beside = ", ".join(f"{name} {_short(ms)}" for name, ms in row["ms_per_call_beside"].items())
            per_frame = _short(row["us_per_frame_with_all"]) if row["frames_per_second"] else ""
            last = ("frame_p50_ms", "frame_p95_ms", "frame_p99_ms", "poll_p95_ms")
            table.append(
                [
                    row["scenario"].partition(", ")[2],
                    row["database"],
                    row["streams"],
                    *(_short(row[name]) for name in names),
                    _percent(row["share_of_a_core"]),
                    _short(row["ms_per_call_with_all"]),
                    per_frame,
                    beside,
                    *(_short(row[name]) for name in last),
                    _percent(row["others"]),
                ]
            )
    return _table(table)


def _table(rows: Iterable[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---", *("--:" for _ in head[1:])], *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _short(value: float) -> str:
    """Two or three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
