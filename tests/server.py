"""Real servers for tests: a process, a port, a database and a log of their own."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psycopg

from tests.env import SECRET_KEY
from tests.services import free_port

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30
STOP_SECONDS = 10

Kind = Literal["uvicorn", "two workers", "daphne"]


class Databases:
    """Migrated databases, with the demo or empty, copied from one template: migrating takes seconds."""

    def __init__(self, directory: Path, postgres_url: str | None = None) -> None:
        self._directory = directory
        self._postgres_url = postgres_url
        self._templates: dict[bool, str] = {}
        self._copies = 0

    def new(self, *, demo: bool) -> str:
        """The DATABASE_URL of a fresh copy: in the given PostgreSQL, or else an SQLite file."""
        if demo not in self._templates:
            self._templates[demo] = self._make_template(demo=demo)
        self._copies += 1
        name = f"server_{self._copies}"
        if self._postgres_url:
            self._create(f'"{name}" TEMPLATE "{_name(self._templates[demo])}"')
            return self._url_of(name)
        shutil.copyfile(_name(self._templates[demo]), self._directory / f"{name}.sqlite3")
        return self._url_of(name)

    def _make_template(self, *, demo: bool) -> str:
        name = "template_demo" if demo else "template_empty"
        url = self._url_of(name)
        if self._postgres_url:
            self._create(f'"{name}"')
        manage("migrate", "--verbosity=0", DATABASE_URL=url)
        if demo:
            manage("demo", DATABASE_URL=url, DEBUG=1)
            # A demo's accounts may sign in only under DEBUG. Tests serve as production does, so these become ordinary.
            manage("shell", "--verbosity=0", "--command=User.objects.update(demo=False)", DATABASE_URL=url)
        if not self._postgres_url:
            with closing(sqlite3.connect(_name(url))) as template:
                template.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return url

    def _create(self, database: str) -> None:
        assert self._postgres_url
        with psycopg.connect(self._postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())

    def _url_of(self, name: str) -> str:
        if self._postgres_url:
            return urlsplit(self._postgres_url)._replace(path=f"/{name}").geturl()
        return f"sqlite:///{self._directory / name}.sqlite3"


def _name(url: str) -> str:
    """The file of an SQLite URL, the database's name in a PostgreSQL one."""
    return urlsplit(url).path[1:]


def environment(**variables: object) -> dict[str, str]:
    """Production settings without TLS, changed by the given variables (contract, section 10)."""
    ours = {
        "DEBUG": 0,
        "DEMO": 0,
        "SECRET_KEY": SECRET_KEY,
        "HTTPS": 0,
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": 1,
    }
    # Where it is not a test that starts it, nothing says which settings to take.
    outside = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return outside | {name: str(value) for name, value in (ours | variables).items()}


def manage(*arguments: str, **variables: object) -> str:
    """Run manage.py; its standard output. What it says when it fails is part of the exception."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"manage.py {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """One server process. After stop() or kill(), start() brings it back on the same port and database."""

    def __init__(self, log: Path, *, kind: Kind = "uvicorn", variables: Mapping[str, object]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"
        self._kind = kind
        self._log = log
        self._environment = environment(**variables, PORT=self.port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process, "the server was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def database_url(self) -> str:
        return self._environment["DATABASE_URL"]

    def start(self) -> None:
        assert not self.running, "the server runs already"
        with self._log.open("ab") as log:
            process = self._process = subprocess.Popen(
                self._command(),
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # of its workers, too, so that they do not outlive it
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._lives():
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server did not start:\n{self.log_text()}")
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to end, as a deployment does; its exit code. Kills it when it does not end in time."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End it without a chance to say anything, as a power cut does."""
        return self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def manage(self, *arguments: str, **variables: object) -> str:
        """Run manage.py on this server's database and settings."""
        return manage(*arguments, **(self._environment | variables))

    def log_text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _command(self) -> list[str]:
        if self._kind == "daphne":
            return [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"]
        return [str(ROOT / "scripts" / "serve"), *(["--workers", "2"] if self._kind == "two workers" else [])]

    def _lives(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.HTTPError, OSError):
            return False

    def _end(self, how: signal.Signals) -> int:
        assert self._process, "the server was not started"
        if self.running:
            self._process.send_signal(how)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
