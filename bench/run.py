"""`make bench`: measures this server and others beside it, one after the other in one run, and prints what came out.

The raw figures are in build/bench/results.json. `--publish` also keeps them in bench/results/ and renews what
docs/performance.md shows of them; `--quick` is for trying the harness, its figures mean nothing.
"""

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from bench import publish, scenarios, servers
from bench.classroom import KEY
from bench.load import BUILD, SERVER_CORE, Target, compiled, pinned
from bench.scenarios import PRESENCE_MEMBERS, Row, Sizes
from bench.servers import Database, Start, Store

QUICK = Sizes(
    recipients=100,
    idle=200,
    parked=100,
    rounds=2,
    senders=16,
    seconds=0.5,
    turns=1,
    online=(100, 320),
    leaving_seconds=2.0,
    classes=2,
    pupils=8,
    lesson_seconds=3.0,
)
PACKAGES = ("django", "channels", "channels-redis", "uvicorn", "uvloop", "httptools", "websockets", "orjson", "psycopg")
SCENARIOS = ("fan-out", "connect", "long-poll", "message.send", "presence", "classroom")

Scenario = Callable[[Target, Sizes], list[Row]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="small and short")
    options.add_argument("--publish", action="store_true", help="renew docs/performance.md from this run")
    options.add_argument("--only", choices=SCENARIOS, action="append", help="one scenario; may be repeated")
    asked = options.parse_args()
    if asked.publish and (asked.quick or asked.only):
        options.error("only a full run is published")
    # As an exception, so that it ends the servers that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    allow_many_files()
    compiled()
    servers.install_node_ws()
    about, rows = machine(), []
    started = time.monotonic()
    for row in run(QUICK if asked.quick else Sizes(), asked.only or SCENARIOS):
        rows.append(row)
        sys.stdout.write(publish.line_of(row) + "\n")
        sys.stdout.flush()
        # After each row, so that what was measured before a failure is kept.
        keep({"about": about, "rows": rows})
    about |= {"load_average_after": os.getloadavg()[0], "loop_ms_after": loop_ms(), "minutes": minutes_since(started)}
    results = {"about": about, "rows": rows}
    keep(results)
    if not (asked.quick or asked.only):
        sys.stdout.write("\n" + publish.tables(results))
    if asked.publish:
        publish.publish(results)


def keep(results: dict[str, Any]) -> None:
    (BUILD / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def run(sizes: Sizes, wanted: tuple[str, ...] | list[str] = SCENARIOS) -> Iterator[Row]:
    with servers.stores("SQLite", "Redis") as (databases, redis_url, _):

        def ours(people: int) -> AbstractContextManager[Target]:
            return servers.meshsite(people, databases=databases)

        @contextmanager
        def textbook_on_redis(people: int) -> Iterator[Target]:
            with servers.textbook(people, layer=redis_url) as target:
                yield target

        everybody: list[Start] = [ours, servers.textbook, textbook_on_redis, servers.nchan, servers.node_ws]
        plans: list[tuple[str, Scenario, list[Start], int]] = [
            ("fan-out", scenarios.fan_out, everybody, sizes.recipients),
            ("connect", scenarios.connect, everybody, sizes.idle),
            # One more, who publishes.
            ("long-poll", scenarios.long_poll, [ours, servers.nchan], sizes.parked + 1),
        ]
        for name, scenario, starts, people in plans:
            for start in starts if name in wanted else []:
                with start(people) as target:
                    yield from scenario(target, sizes)
    if "message.send" in wanted:
        for database in get_args(Database):
            for store in get_args(Store):
                yield from send(sizes, database, store)
    if "presence" in wanted:
        yield from presence(sizes)
    if "classroom" in wanted:
        yield from classroom(sizes)


def send(sizes: Sizes, database: Database, store: Store) -> Iterator[Row]:
    with servers.stores(database, store) as (databases, redis_url, beside):
        for where, recipients in (("alone", 1), ("crowd", sizes.senders)):
            with servers.meshsite(
                sizes.senders,
                databases=databases,
                where="alone" if where == "alone" else "crowd",
                redis_url=redis_url,
                beside=beside,
            ) as target:
                yield from scenarios.send(target, sizes, database=database, streams=store, recipients=recipients)


def presence(sizes: Sizes) -> Iterator[Row]:
    """By the rule for large workspaces, and for one size also without it and with streams and leases in Redis."""
    some = sizes.online[len(sizes.online) // 2]
    plans: list[tuple[int, Store, int]] = [(online, "memory", PRESENCE_MEMBERS) for online in sizes.online]
    plans += [(some, "memory", some), (some, "Redis", PRESENCE_MEMBERS)]
    for online, store, members in plans:
        with (
            servers.stores("SQLite", store) as (databases, redis_url, beside),
            servers.meshsite(
                online,
                databases=databases,
                redis_url=redis_url,
                beside=beside,
                # Pings would be in the figures of some stages and not of others.
                variables={"PING_SECONDS": 3600, "PRESENCE_MEMBERS": members},
            ) as target,
        ):
            yield from scenarios.presence(target, sizes, online=online, streams=store, everybody=online <= members)


def classroom(sizes: Sizes) -> Iterator[Row]:
    """A lesson in which half of the pupils poll, on each store; and, shorter, ones in which none and all do."""
    some = sizes.lesson_seconds / 4
    plans: list[tuple[Database, Store, float, float]] = [
        ("SQLite", "memory", 0.5, sizes.lesson_seconds),
        ("SQLite", "memory", 0.0, some),
        ("SQLite", "memory", 1.0, some),
        ("PostgreSQL", "Redis", 0.5, some),
    ]
    for database, store, polling, seconds in plans:
        with (
            servers.stores(database, store) as (databases, redis_url, beside),
            servers.meshsite(
                1,
                databases=databases,
                redis_url=redis_url,
                beside=beside,
                variables={"MESH_API_KEYS": KEY, "MESH_CALLS_PER_MINUTE": 900_000_000},
            ) as target,
        ):
            yield from scenarios.classroom(
                target, sizes, database=database, streams=store, polling=polling, seconds=seconds
            )


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": said_by("git", "describe", "--always", "--dirty"),
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release().partition('-')[0]}",
        "versions": {
            "Python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
            "nginx": said_by(servers.NGINX, "-v").rpartition("/")[2],
            "nchan": said_by("dpkg-query", "--show", "--showformat", "${Version}", "libnginx-mod-nchan"),
            "node": said_by("node", "--version"),
            "ws": servers.NODE_WS.partition("@")[2],
            "PostgreSQL": said_by("sh", "-c", "/usr/lib/postgresql/*/bin/postgres --version").split()[2],
            "Redis": said_by("redis-server", "--version").partition("v=")[2].partition(" ")[0],
        },
        "load_average_before": os.getloadavg()[0],
        "loop_ms_before": loop_ms(),
    }


def said_by(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip()


def loop_ms() -> float:
    """CPU time of a fixed loop on the server's core: always the same unless neighbours disturb."""
    with pinned(SERVER_CORE):
        began = time.process_time()
        sum(number * number for number in range(200_000))
        return 1e3 * (time.process_time() - began)


def minutes_since(started: float) -> float:
    return round((time.monotonic() - started) / 60, 1)


def allow_many_files() -> None:
    """Thousands of sockets need as many files; the servers inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
