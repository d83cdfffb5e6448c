"""The load client: compiles load.c, runs it beside a server, and reads clocks at the moments that it names."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BENCH: Final = Path(__file__).resolve().parent
BUILD: Final = BENCH.parent / "build" / "bench"
SERVER_CORE: Final = 0
LOAD_CORE: Final = 1

Result = dict[str, Any]
OnPhase = Callable[[str], None]


class LoadFailed(Exception):
    """The load client gave up; the server refused, fell silent or was too slow."""


@dataclass(frozen=True)
class Target:
    """A running server, and how the load client has to speak to it."""

    name: str
    port: int
    pids: tuple[int, ...]
    """The processes whose CPU and memory are the server's."""
    people: Path
    path: str = "/ws/user/me"
    poll_path: str = "/poll/user/me"
    publish_path: str = "/publish"
    style: str = "call"
    """How to publish: `call` (message.send over a socket), `frame` (an event over a socket) or `post` (over HTTP)."""
    greets: bool = True
    """Whether a socket is open only with its hello."""
    beside: tuple[tuple[str, int], ...] = ()
    """Names and parent processes of the stores behind it."""


def compiled() -> Path:
    """The program, compiled again when its source is newer."""
    source, program = BENCH / "load.c", BUILD / "load"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-std=gnu17", "-o", program, source], check=True)
    return program


def can_compile() -> bool:
    return shutil.which("cc") is not None


def run(mode: str, target: Target, *, on_phase: OnPhase = lambda name: None, **options: object) -> Result:
    """Run the client to its end. Raises LoadFailed with the reason that it gave."""
    words: list[object] = ["--port", target.port, "--people", target.people]
    words += ["--style", target.style, "--hello", int(target.greets)]
    words += ["--path", target.poll_path if mode == "poll" else target.path, "--publish-path", target.publish_path]
    return _told_by([compiled(), mode, *words], mode, target, on_phase, options)


def run_classroom(target: Target, *, on_phase: OnPhase = lambda name: None, **options: object) -> Result:
    """Run the load client of classrooms to its end. Raises LoadFailed with the reason that it gave."""
    words = [sys.executable, "-m", "bench.classroom", "--port", target.port]
    return _told_by(words, "classroom", target, on_phase, options)


def _told_by(
    words: Sequence[object], mode: str, target: Target, on_phase: OnPhase, options: Mapping[str, object]
) -> Result:
    more = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    with (
        pinned(LOAD_CORE),
        subprocess.Popen(
            [*map(str, words), *map(str, more)],
            cwd=BENCH.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as client,
    ):
        assert client.stdin, "it has pipes"
        assert client.stdout
        assert client.stderr
        try:
            for line in client.stdout:
                kind, _, rest = line.rstrip().partition(" ")
                if kind == "result":
                    result: Result = json.loads(rest)
                    return result
                if kind != "phase":
                    raise LoadFailed(f"{target.name}, {mode}: {rest} {client.stderr.read()}")
                on_phase(rest)
                client.stdin.write("\n")
                client.stdin.flush()
        finally:
            client.kill()
        raise LoadFailed(f"{target.name}, {mode}: no result. {client.stderr.read()}")


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started in the block stays on one core, where there is more than one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
