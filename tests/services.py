"""Private PostgreSQL and Redis on free ports of 127.0.0.1, gone with the block that started them.

`python -m tests.services -- command ...` runs a command with TEST_POSTGRES_URL and TEST_REDIS_URL set.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis as redis_client

START_SECONDS = 30
STOP_SECONDS = 20


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database. Nothing is synced to disk: only speed matters here."""
    programs = _postgres_programs()
    owner = _postgres_owner()
    with tempfile.TemporaryDirectory(prefix="meshsite-postgres-") as directory:
        if owner:
            shutil.chown(directory, user=owner)
        data = Path(directory, "data")
        switches = ["--username=meshsite", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [programs / "initdb", "--pgdata", data, *switches],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=directory,
            user=owner,
            extra_groups=[] if owner else None,
        )
        port = free_port()
        command = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", directory]
        command += ["--fsync=off", "--synchronous_commit=off", "--full_page_writes=off", "--max_connections=200"]
        url = f"postgres://meshsite@127.0.0.1:{port}/postgres"
        # SIGINT: PostgreSQL's "fast" end, which does not wait for its clients.
        with _process(command, Path(directory, "log"), lambda: _answers_sql(url), signal.SIGINT, owner):
            yield url


@contextmanager
def redis() -> Iterator[str]:
    """The URL of a Redis that keeps nothing on disk."""
    with redis_server() as server:
        yield server.url


class RedisServer:
    """A Redis that keeps nothing, so that it comes back empty; on the same port each time."""

    def __init__(self, directory: Path) -> None:
        self._port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        command = [_program("redis-server"), "--bind", "127.0.0.1", "--port", str(self._port)]
        command += ["--dir", str(self._directory), "--save", "", "--appendonly", "no"]
        log = self._directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        _await(self._process, log, lambda: _answers_ping(self.url))

    def kill(self) -> None:
        """With -9; everything in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Stop answering, with the connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A Redis that a test may kill, start again and pause."""
    with tempfile.TemporaryDirectory(prefix="meshsite-redis-") as directory:
        server = RedisServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def _process(
    command: list[str], log: Path, ready: Callable[[], bool], end: signal.Signals, user: str | None = None
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            user=user,
            extra_groups=[] if user else None,
            # Ctrl-C belongs to the tests; the services end after them.
            start_new_session=True,
        )
    try:
        _await(process, log, ready)
        yield
    finally:
        process.send_signal(end)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


def _postgres_programs() -> Path:
    """Debian keeps the server's programs out of PATH, in a directory per version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else Path(_program("initdb")).resolve().parent


def _postgres_owner() -> str | None:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("postgres").pw_name


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(f"{name} is missing; `make test` says how to get it.")
    return path


def _answers_sql(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _answers_ping(url: str) -> bool:
    try:
        with redis_client.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis_client.ConnectionError:
        return False


def main() -> int:
    command = sys.argv[2:] if sys.argv[1:2] == ["--"] else sys.argv[1:]
    if not command:
        sys.exit("Use: python -m tests.services -- command ...")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with postgres() as postgres_url, redis() as redis_url:
        urls = {"TEST_POSTGRES_URL": postgres_url, "TEST_REDIS_URL": redis_url}
        return subprocess.run(command, env=os.environ | urls, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
