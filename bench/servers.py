"""The servers that are measured, each a process of its own on a free port, pinned to one core, gone with its block."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal

import psycopg

from bench.clocks import tree
from bench.load import BENCH, BUILD, SERVER_CORE, Target, pinned
from tests.server import ROOT, Databases, Server, environment
from tests.services import free_port

START_SECONDS: Final = 20.0
GENEROUS: Final[Mapping[str, object]] = {
    # One program sends here what thousands of people would.
    "SEND_PER_MINUTE": 900_000_000,
    "SEND_BURST": 900_000_000,
    "LOG_LEVEL": "WARNING",
}
NGINX: Final = shutil.which("nginx") or "/usr/sbin/nginx"
NODE_WS: Final = "ws@8.23.0"
Where = Literal["crowd", "alone"]
Store = Literal["memory", "Redis"]
Database = Literal["SQLite", "PostgreSQL"]
Start = Callable[[int], AbstractContextManager[Target]]
"""Starts a server for a number of people."""


@contextmanager
def meshsite(
    people: int,
    *,
    databases: Databases,
    where: Where = "crowd",
    redis_url: str = "",
    beside: Mapping[str, int] | None = None,
    variables: Mapping[str, object] | None = None,
) -> Iterator[Target]:
    """Ours, started by scripts/serve as in production, on a new database with these people in it."""
    with tempfile.TemporaryDirectory(prefix="meshsite-bench-") as place:
        url = databases.new(demo=False)
        lines = _run_module("bench.people", people, where, variables=environment(DATABASE_URL=url))
        file = Path(place, "people")
        file.write_text(lines)
        log = Path(place, "log")
        server = Server(log, variables={**GENEROUS, "DATABASE_URL": url, "REDIS_URL": redis_url, **(variables or {})})
        with pinned(SERVER_CORE):
            server.start()
        try:
            yield Target("Meshsite", server.port, (server.pid,), file, beside=tuple((beside or {}).items()))
        finally:
            server.stop()
        if "Traceback" in server.log_text():
            raise RuntimeError(f"the server complained:\n{server.log_text()[-3000:]}")


@contextmanager
def textbook(people: int, *, layer: str = "memory") -> Iterator[Target]:
    """The tutorial of Channels, with the same flags of the same uvicorn."""
    with tempfile.TemporaryDirectory(prefix="textbook-") as place:
        variables = environment(LAYER=layer, DATABASE=f"{place}/db.sqlite3", PYTHONPATH=ROOT)
        file = Path(place, "people")
        file.write_text(_run_module("bench.peers.textbook", people, variables=variables))
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "bench.peers.textbook:application", "--port", str(port)]
        command += ["--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio", "--lifespan", "off"]
        command += ["--ws-per-message-deflate", "false", "--ws-ping-interval", "0", "--no-access-log"]
        with _process(command, port, Path(place, "log"), variables) as pid:
            name = "Channels, memory layer" if layer == "memory" else "Channels, Redis pub/sub layer"
            yield Target(name, port, (pid,), file, path="/ws", style="frame", greets=False)


@contextmanager
def node_ws(people: int) -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="node-ws-") as place:
        port = free_port()
        variables = dict(os.environ) | {"PORT": str(port), "NODE_PATH": str(BUILD / "node_modules")}
        with _process(["node", str(BENCH / "peers" / "node_ws.cjs")], port, Path(place, "log"), variables) as pid:
            yield Target("node ws", port, (pid,), _nobody(place), path="/ws", style="frame", greets=False)


@contextmanager
def nchan(people: int) -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="nchan-") as place:
        # Its worker is not root, and keeps request bodies here.
        os.chmod(place, 0o755)  # noqa: S103 - a private directory of nobody's secrets
        port = free_port()
        config = Path(place, "nginx.conf")
        text = (BENCH / "peers" / "nchan.conf").read_text()
        config.write_text(text.replace("DIRECTORY", place).replace("PORT", str(port)))
        with _process([NGINX, "-c", str(config)], port, Path(place, "output"), dict(os.environ)) as pid:
            # The master only watches.
            _, *workers = tree(pid)
            file = _nobody(place)
            yield Target("nchan", port, tuple(workers), file, path="/ws", poll_path="/poll", style="post", greets=False)


def install_node_ws() -> None:
    """Fetch `ws` into the build directory, once."""
    if not (BUILD / "node_modules" / "ws").exists():
        words = ["npm", "install", "--prefix", str(BUILD), "--no-audit", "--no-fund", "--loglevel=error", NODE_WS]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def postgres() -> Iterator[tuple[str, int]]:
    """The URL and process of an empty PostgreSQL that syncs each commit to disk, as installed ones do."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]
    owner = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="bench-postgres-") as place:
        if owner:
            shutil.chown(place, user=owner)
        data = f"{place}/data"
        words = ["--username=meshsite", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        initdb = [str(programs / "initdb"), "--pgdata", data, *words]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=place, user=owner)
        port = free_port()
        command = [str(programs / "postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", place]
        with _process(
            command, port, Path(place, "log"), dict(os.environ), core=None, user=owner, ready=_answers_sql
        ) as pid:
            yield f"postgres://meshsite@127.0.0.1:{port}/postgres", pid


@contextmanager
def redis() -> Iterator[tuple[str, int]]:
    """The URL and process of an empty Redis that keeps nothing on disk."""
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as place:
        port = free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", place]
        command += ["--save", "", "--appendonly", "no"]
        with _process(command, port, Path(place, "log"), dict(os.environ), core=None) as pid:
            yield f"redis://127.0.0.1:{port}/0", pid


@contextmanager
def stores(database: Database, streams: Store) -> Iterator[tuple[Databases, str, dict[str, int]]]:
    """Databases, the URL of Redis or "", and the processes of both."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-databases-")))
        pids: dict[str, int] = {}
        databases_url, redis_url = None, ""
        if database == "PostgreSQL":
            databases_url, pids["postgres"] = stack.enter_context(postgres())
        if streams == "Redis":
            redis_url, pids["redis"] = stack.enter_context(redis())
        yield Databases(place, databases_url), redis_url, pids


@contextmanager
def _process(
    command: list[str],
    port: int,
    log: Path,
    variables: Mapping[str, str],
    *,
    core: int | None = SERVER_CORE,
    user: str | None = None,
    ready: Callable[[int], bool] | None = None,
) -> Iterator[int]:
    """A program that listens on the port, as long as the block lasts; its pid."""
    ready = ready or _listens
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        # A store behind a server shares the core of the load, so that the server has its own.
        stack.enter_context(pinned(SERVER_CORE if core is not None else 1))
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.send_signal(signal.SIGINT if "postgres" in command[0] else signal.SIGTERM)
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _answers_sql(port: int) -> bool:
    try:
        psycopg.connect(f"postgres://meshsite@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _nobody(place: str) -> Path:
    """The people of a server where nobody signs in."""
    file = Path(place, "people")
    file.write_text("0 0 -\n")
    return file


def _run_module(module: str, *arguments: object, variables: Mapping[str, str]) -> str:
    """What a module of ours prints. It has settings of its own, so it runs in a process of its own."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=dict(variables), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{module} failed:\n{done.stderr}")
    return done.stdout
