"""Set-up as a newcomer meets it: `make run` in a copy of the project, and what it says when it cannot go on."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests import env
from tests.conftest import StartServer
from tests.server import ROOT
from tests.services import free_port

pytestmark = pytest.mark.setup

NOT_OURS = shutil.ignore_patterns(
    ".git", ".venv", "db.sqlite3*", "staticfiles", "build", "node_modules", "__pycache__", ".*_cache", ".hypothesis"
)
START_SECONDS = 300


class Run:
    """A `make run` in a directory, and everything that it has said so far."""

    def __init__(self, directory: Path, **variables: object) -> None:
        self.port = free_port()
        self._said = directory.parent / f"said-{self.port}.txt"
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                ["make", "run"],
                cwd=directory,
                env=newcomer(PORT=self.port, **variables),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def page(self, path: str = "/accounts/login/") -> str:
        """A page of the server, as soon as it answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                    return str(answer.read().decode())
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{path} answers {error.code}; make run said:\n{self.said}") from error
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"no page ({error}); make run said:\n{self.said}") from error
                time.sleep(0.1)

    def press_ctrl_c(self) -> None:
        """A terminal sends the signal to every process of the group."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(20)


@contextmanager
def running(directory: Path, **variables: object) -> Iterator[Run]:
    run = Run(directory, **variables)
    try:
        yield run
    finally:
        run.press_ctrl_c()


def newcomer(**variables: object) -> dict[str, str]:
    """An environment without what the tests, or the make that runs them, set for themselves."""
    theirs = {*env.VARIABLES, "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    plain = {name: value for name, value in os.environ.items() if name not in theirs}
    return plain | {name: str(value) for name, value in variables.items()}


def refused(directory: Path, **variables: object) -> str:
    """What `make run` says when it ends without serving."""
    done = subprocess.run(
        ["make", "run"],
        cwd=directory,
        env=newcomer(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def need(bare: Path, *programs: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [bare / "scripts" / "need", *programs],
        env=newcomer(PATH=bare.parent / "bin", CI=""),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def program(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("clone") / "meshsite"
    shutil.copytree(ROOT, directory, ignore=NOT_OURS)
    return directory


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The files of the set-up alone, on a machine whose only programs are those in `bin`."""
    directory = tmp_path / "meshsite"
    shutil.copytree(ROOT / "scripts", directory / "scripts")
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, directory)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "make", "dirname", "find", "cmp", "cp", "rm", "ls", "sed", "tr"):
        (programs / name).symlink_to(shutil.which(name) or name)
    program(programs, "id", "echo 1000")
    return directory


def test_make_run_serves_the_demo_and_does_so_again(copy: Path) -> None:
    with running(copy) as first:
        assert "<html" in first.page()
        assert f"http://127.0.0.1:{first.port}/" in first.said
        assert "alice" in first.said
    with running(copy) as second:
        assert "<html" in second.page()
        assert "alice" in second.said
        assert "Installing" not in second.said
    assert "Traceback" not in first.said + second.said


def test_make_run_without_debug_serves_the_collected_files(copy: Path) -> None:
    production = {"DEBUG": 0, "SECRET_KEY": env.SECRET_KEY, "HTTPS": 0, "ALLOWED_HOSTS": "127.0.0.1"}
    with running(copy, **production) as run:
        sheet = next(part for part in run.page().split('"') if part.startswith("/static/") and part.endswith(".css"))
        assert run.page(sheet)


def test_a_taken_port_is_named(copy: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"Port {port} is taken by another program" in refused(copy, PORT=port)


@pytest.mark.parametrize("port", ["many", "-1", "70000"])
def test_a_port_that_is_none_is_named(copy: Path, port: str) -> None:
    assert "PORT" in refused(copy, PORT=port)


def test_production_without_a_secret_key_says_how_to_make_one(copy: Path) -> None:
    assert "Set SECRET_KEY" in refused(copy, DEBUG=0)


def test_a_database_that_cannot_be_opened_is_named(copy: Path) -> None:
    assert "DATABASE_URL" in refused(copy, PORT=free_port(), DATABASE_URL="sqlite:////nowhere/at/all.sqlite3")


def test_an_old_python_is_named(bare: Path) -> None:
    program(bare.parent / "bin", "python3", 'case $1 in --version) echo "Python 3.9.2";; *) exit 1;; esac')
    said = refused(bare, PATH=bare.parent / "bin")
    assert "needs Python 3.11 or newer; this machine has Python 3.9.2" in said


def test_a_machine_without_python_is_told_how_to_get_it(bare: Path) -> None:
    said = refused(bare, PATH=bare.parent / "bin")
    assert "no Python at all" in said
    assert "sudo apt install python3" in said


def test_a_python_without_ensurepip_is_told_which_package_is_missing(bare: Path) -> None:
    python = 'case "$*" in --version) echo "Python 3.11.2";; *version_info*) exit 0;; *) exit 1;; esac'
    program(bare.parent / "bin", "python3", python)
    assert "sudo apt install python3-venv" in refused(bare, PATH=bare.parent / "bin")


def test_programs_for_the_tests_are_named_with_the_line_that_gets_them(bare: Path) -> None:
    done = need(bare, "node", "redis")
    assert done.returncode != 0
    assert "sudo apt install nodejs redis-server" in done.stdout


def test_root_gets_programs_for_the_tests_through_apt(bare: Path) -> None:
    programs = bare.parent / "bin"
    program(programs, "id", "echo 0")
    program(programs, "apt-get", f'case "$*" in *install*redis-server) cp {programs}/id {programs}/redis-server;; esac')
    assert need(bare, "redis").returncode == 0
    assert (programs / "redis-server").exists()


def test_a_machine_without_a_network_is_told_so(copy: Path, tmp_path: Path) -> None:
    directory = tmp_path / "meshsite"
    shutil.copytree(copy, directory, ignore=NOT_OURS)
    nowhere = {"PIP_INDEX_URL": f"http://127.0.0.1:{free_port()}/simple", "PIP_RETRIES": 0}
    said = refused(directory, **nowhere, PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="", PIP_NO_CACHE_DIR=1)
    assert "The Python packages could not be installed" in said
    assert "Is there a network?" in said


def test_runserver_serves_pages_and_sockets(start_server: StartServer) -> None:
    server = start_server(kind="daphne", DEBUG=1)
    token = server.manage("create_token", "alice").strip()
    with urllib.request.urlopen(f"{server.url}/accounts/login/", timeout=10) as page:
        assert page.status == 200
    with connect(f"{server.ws_url}/ws/user/me", additional_headers={"Authorization": f"Bearer {token}"}) as socket_:
        assert '"hello"' in str(socket_.recv(timeout=10))
