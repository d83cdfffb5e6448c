"""What is measured. Each scenario takes a running server and gives one row of figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from bench import load
from bench.clocks import Marks, wait_until_quiet
from bench.load import LoadFailed, Result, Target

Row = dict[str, Any]
T = TypeVar("T")

SATURATING: Final = 32
"""Publishers, each with one publish on its way."""
PACE: Final = 40.0
"""Publishes a second, one after the other; half of what it can do for a server that cannot keep this."""
NAP_SECONDS: Final = 0.0005
"""Between two looks of the load client at its sockets when paced. Else it sleeps before each frame, which wakes it."""
FEW: Final = 50
"""Sockets that warm a server up: their memory is used again, so they must be few."""
SETTLE_SECONDS: Final = 3.0
PRESENCE_MEMBERS: Final = 300
"""As it is when nobody sets it: in larger workspaces only those are told who ask."""
WATCHED: Final = 50
"""Whom a page shows, and so asks to be told of."""

REPORTS: Final = 15.0
BATCHES: Final = 2.0
"""A second, in each classroom: what the makers of its editor aim at (smalruby3-gui#444)."""
HOW_MANY_POLL: Final = {0.0: "none polls", 0.5: "half poll", 1.0: "all poll"}


@dataclass(frozen=True)
class Sizes:
    """How much of everything; a smoke test wants little."""

    recipients: int = 500
    idle: int = 3000
    parked: int = 1000
    rounds: int = 8
    senders: int = 128
    seconds: float = 3.0
    turns: int = 3
    online: tuple[int, ...] = (100, 1000, 5000)
    leaving_seconds: float = 4.0
    classes: int = 10
    pupils: int = 40
    lesson_seconds: float = 60.0
    event_bytes: int = 480
    """Of the peers' events: as many as ours have."""


def fan_out(target: Target, sizes: Sizes) -> list[Row]:
    """CPU per delivered event, at saturation and at a pace, with a client that naps and one that each write wakes."""
    fast = _fan_out(target, sizes, publishers=min(SATURATING, sizes.recipients), rate=0.0)
    pace = min(PACE, fast["published_per_second"] / 2)
    slow = _fan_out(target, sizes, publishers=1, rate=pace, nap=NAP_SECONDS)
    waking = _fan_out(target, sizes, publishers=1, rate=pace)
    return [
        slow | {"scenario": "fan-out, paced"},
        waking | {"scenario": "fan-out, paced and waking the client"},
        fast | {"scenario": "fan-out, saturated"},
    ]


def _fan_out(target: Target, sizes: Sizes, *, publishers: int, rate: float, nap: float = 0.0) -> Row:
    """The event's own cost is that of N recipients less that of as many as there are publishers, measured in turns."""
    options = {"publishers": publishers, "outstanding": publishers, "rate": rate, "size": sizes.event_bytes, "nap": nap}
    turns: list[_Turn] = []
    for _ in range(sizes.turns):
        many, marks = _measured("fanout", target, count=sizes.recipients, seconds=sizes.seconds, **options)
        few, few_marks = _measured("fanout", target, count=publishers, seconds=sizes.seconds / 2, **options)
        to_all = marks.cpu_between("begin", "end") / many["published"]
        to_few = few_marks.cpu_between("begin", "end") / few["published"]
        per_event = 1e6 * (to_all - to_few) / max(1, sizes.recipients - publishers)
        others = max(marks.others_between("begin", "end"), few_marks.others_between("begin", "end"))
        turns.append(_Turn(others, per_event, to_all, to_few, _whole(many, target)))
    others, per_event, to_all, to_few, many = _middle(turns, lambda turn: turn.per_event)
    return {
        "server": target.name,
        "recipients": sizes.recipients,
        "publishers": publishers,
        "published_per_second": many["published"] / many["seconds"],
        "delivered_per_second": many["delivered"] / many["seconds"],
        "us_per_event": per_event,
        "us_per_event_of_all_turns": [turn.per_event for turn in turns],
        "us_per_event_with_the_send": 1e6 * to_all / sizes.recipients,
        "us_per_publish_to_few": 1e6 * to_few,
        "share_of_a_core": to_all * many["published"] / many["seconds"],
        "others": others,
        "frames_per_event": many["frames"] / many["delivered"],
        **_kept(many),
    }


class _Turn(NamedTuple):
    others: float
    """The share of the core that somebody else used."""
    per_event: float
    to_all: float
    to_few: float
    told: Result


def connect(target: Target, sizes: Sizes) -> list[Row]:
    """CPU for each connect until its socket is open, and memory for each while it is idle."""
    hold = min(SETTLE_SECONDS, sizes.seconds)
    load.run("connect", target, count=min(FEW, sizes.idle), seconds=0.5)
    turns: list[tuple[float, Result, Marks]] = []
    for _ in range(sizes.turns):
        wait_until_quiet(target)
        marks = Marks(target)
        opened = load.run("connect", target, on_phase=marks.mark, count=sizes.idle, seconds=hold)
        turns.append((1e3 * marks.cpu_between("begin", "opened") / sizes.idle, opened, marks))
    # The turns after the first find the memory of it free.
    first = turns[0][2].resident
    ms_per_connect, opened, marks = _middle(turns, lambda turn: turn[0])
    return [
        {
            "scenario": "connect",
            "server": target.name,
            "sockets": sizes.idle,
            "ms_per_connect": ms_per_connect,
            "ms_per_connect_of_all_turns": [turn[0] for turn in turns],
            "connects_per_second": sizes.idle / opened["seconds"],
            "kb_per_socket": (first["held"] - first["begin"]) / 1000 / sizes.idle,
            "others": marks.others_between("begin", "opened"),
            "mb_before": first["begin"] / 1e6,
        }
    ]


def long_poll(target: Target, sizes: Sizes) -> list[Row]:
    """CPU of one cycle (park, wake, park again) and memory of each parked poll with its connection."""
    options = {"count": min(FEW, sizes.parked), "rounds": 1, "size": sizes.event_bytes}
    load.run("poll", target, on_phase=lambda _: wait_until_quiet(target), **options)
    marks = Marks(target)

    def on_phase(name: str) -> None:
        wait_until_quiet(target)
        marks.mark(name)

    options |= {"count": sizes.parked, "rounds": sizes.rounds}
    told = _whole(load.run("poll", target, on_phase=on_phase, **options), target)
    cpu = marks.cpu_between("parked", "end")
    return [
        {
            "scenario": "long-poll",
            "server": target.name,
            "parked": sizes.parked,
            "rounds": sizes.rounds,
            "ms_per_first_poll": 1e3 * marks.cpu_between("begin", "parked") / sizes.parked,
            "ms_per_cycle": 1e3 * cpu / (sizes.parked * sizes.rounds),
            "kb_per_poll": (marks.resident["parked"] - marks.resident["begin"]) / 1000 / sizes.parked,
            "others": marks.others_between("parked", "end"),
            **_kept(told),
        }
    ]


def send(target: Target, sizes: Sizes, *, database: str, streams: str, recipients: int) -> list[Row]:
    """message.send over the socket, persisted and told, by so many senders that each wait for their own answer."""
    turns: list[tuple[Result, Marks]] = []
    for _ in range(sizes.turns):
        sent, marks = _measured("send", target, count=sizes.senders, seconds=sizes.seconds, recipients=recipients)
        if sent["refused"] or sent["holes"] or sent["delivered"] != sent["replies"] * recipients:
            raise LoadFailed(f"{target.name}: not every send was answered and told once and in order: {sent}")
        turns.append((sent, marks))
    sent, marks = _middle(turns, lambda turn: turn[0]["replies"] / turn[0]["seconds"])
    cpu = marks.cpu_between("begin", "end")
    return [
        {
            "scenario": "message.send",
            "server": target.name,
            "database": database,
            "streams": streams,
            "senders": sizes.senders,
            "recipients": recipients,
            "sends_per_second": sent["replies"] / sent["seconds"],
            "sends_per_second_of_all_turns": [turn["replies"] / turn["seconds"] for turn, _ in turns],
            "ms_per_send": 1e3 * cpu / sent["replies"],
            "ms_per_send_beside": {
                name: 1e3 * used / sent["replies"] for name, used in marks.beside_between("begin", "end").items()
            },
            "share_of_a_core": cpu / sent["seconds"],
            "others": marks.others_between("begin", "end"),
            **_kept(sent),
        }
    ]


def presence(target: Target, sizes: Sizes, *, online: int, streams: str, everybody: bool) -> list[Row]:
    """Events, bytes and CPU when all come, when a tenth go and come back, and when all drop and come back in time.

    `everybody` says that the server tells all members without being asked.
    """
    leaving = max(online // 10, min(FEW, online // 2))
    watched, seconds = min(WATCHED, online - 1), sizes.leaving_seconds
    marks = Marks(target)
    options = {"watched": watched, "leaving": leaving, "everybody": int(everybody), "seconds": seconds}
    told = load.run("presence", target, on_phase=marks.mark, count=online, **options)
    if told["wrong"] or told["holes"] or told["refused"] or told["resumed"] != online:
        raise LoadFailed(f"{target.name}: not everybody was told what they should: {told}")
    stages, changes = told["stages"], 2 * leaving
    dropped = marks.cpu_between("arrived", "some dropped")
    left = marks.cpu_between("some dropped", "some left")
    beside = marks.beside_between("some dropped", "some left")
    return [
        {
            "scenario": "presence",
            "server": target.name,
            "streams": streams,
            "online": online,
            "everybody": everybody,
            "watched": watched,
            "told_per_arrival": stages["arrived"]["presences"] / online,
            "kb_told_per_arrival": stages["arrived"]["presence_bytes"] / 1e3 / online,
            "kb_per_arrival": stages["arrived"]["bytes"] / 1e3 / online,
            "ms_per_arrival": 1e3 * marks.cpu_between("begin", "arrived") / online,
            "arrivals_per_second": online / stages["arrived"]["seconds"],
            "changes": changes,
            "changes_per_second": changes / seconds,
            "told_per_change": stages["some left"]["presences"] / changes,
            "kb_told_per_change": stages["some left"]["presence_bytes"] / 1e3 / changes,
            "ms_per_change": 1e3 * left / changes,
            # The same connections ended and came before at the same pace, with nobody told.
            "ms_told_per_change": 1e3 * (left - dropped) / changes,
            "ms_per_change_beside": {name: 1e3 * used / changes for name, used in beside.items()},
            "drops": leaving + online,
            "told_of_drops": stages["some dropped"]["presences"] + stages["all dropped"]["presences"],
            "ms_per_drop": 1e3 * marks.cpu_between("some left", "all dropped") / online,
            "others": marks.others_between("some dropped", "some left"),
        }
    ]


def classroom(
    target: Target, sizes: Sizes, *, database: str, streams: str, polling: float, seconds: float
) -> list[Row]:
    """Groups of nodes of which this share polls, at 15 reports and 2 events a second and group; nothing may be lost."""
    marks = Marks(target)
    options = {"groups": sizes.classes, "nodes": sizes.pupils, "polling": polling, "seconds": seconds}
    told = load.run_classroom(target, on_phase=marks.mark, reports=REPORTS, batches=BATCHES, **options)
    cpu = marks.cpu_between("begin", "end")
    names = ("frame", "poll", "event_polled", "call")
    return [
        {
            "scenario": f"classroom, {HOW_MANY_POLL[polling]}",
            "server": target.name,
            "database": database,
            "streams": streams,
            "groups": sizes.classes,
            "nodes": sizes.pupils,
            "polling": polling,
            "seconds": told["seconds"],
            "published_per_second": told["published"] / told["seconds"],
            "frames_per_second": told["frames"] / told["seconds"],
            "polls_per_second": told["polls"] / told["seconds"],
            "delivered": told["frames"] + told["polled_events"],
            "us_per_frame_with_all": 1e6 * cpu / max(1, told["frames"]),
            "ms_per_call_with_all": 1e3 * cpu / (told["calls"] + told["polls"]),
            "share_of_a_core": cpu / (marks.at["end"] - marks.at["begin"]),
            "ms_per_call_beside": {
                name: 1e3 * used / (told["calls"] + told["polls"])
                for name, used in marks.beside_between("begin", "end").items()
            },
            "frame_bytes": told["frame_bytes"],
            **{f"{name}_p{share}_ms": told[f"{name}_p{share}_ms"] for name in names for share in (50, 95, 99, 100)},
            "others": marks.others_between("begin", "end"),
        }
    ]


def _middle(turns: list[T], by: Callable[[T], float]) -> T:
    """The turn of the median. The first is the dearest as a rule: it fills caches, and takes memory from the system."""
    return sorted(turns, key=by)[len(turns) // 2]


def _measured(mode: str, target: Target, **options: object) -> tuple[Result, Marks]:
    marks = Marks(target)
    result = load.run(mode, target, on_phase=marks.mark, **options)
    return result, marks


def _whole(result: Result, target: Target) -> Result:
    """Raises LoadFailed when somebody missed an event or got one twice, or ours not in the order of its seq.

    Peers broadcast what several publishers send in any order, and give no seq.
    """
    if result["fewest"] != result["most"] or (result["holes"] and target.greets):
        raise LoadFailed(f"{target.name}: not everybody got everything once and in order: {result}")
    return result


def _kept(result: Result) -> Row:
    names = ("p50_ms", "p90_ms", "p99_ms", "p100_ms", "event_bytes", "delivered", "seconds")
    return {name: result[name] for name in names}
