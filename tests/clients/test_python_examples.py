"""The example programs of the Python client, as a reader would run them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from meshsite_client import SyncClient

from tests.clients.conftest import Place
from tests.clients.drive import SOON_SECONDS, said_in
from tests.server import ROOT

PACKAGE = ROOT / "clients" / "python"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (PACKAGE / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def environment(place: Place) -> dict[str, str]:
    ours = {"PYTHONPATH": str(PACKAGE), "MESHSITE_URL": place.url, "MESHSITE_TOKEN": place.alice}
    return {**os.environ, **ours, "PYTHONWARNINGS": "error"}


@pytest.mark.parametrize("program", EXAMPLES)
def test_the_programs_of_the_readme_say_hello(program: str, place: Place, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(program)
    run = subprocess.run(
        [sys.executable, path], env=environment(place), capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "alice says Hello from Python\n", "")


@contextmanager
def echo_of(place: Place) -> Iterator[None]:
    """Alice's echo listens while the block runs, and ends as Ctrl-C ends it."""
    program = [sys.executable, str(PACKAGE / "examples" / "echo.py")]
    with subprocess.Popen(program, env=environment(place), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening as alice\n"
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                assert process.wait(SOON_SECONDS) == 0
            finally:
                process.kill()  # else one that does not listen, as where Ctrl-C is switched off, holds up all tests


def test_the_echo_answers_others_once(place: Place, channel_id: int) -> None:
    with SyncClient(place.url, token=place.bob) as bob, echo_of(place):
        for body in ("nothing", "echo hello", "echo again"):
            bob.send_message(channel_id, body)
        said: list[str] = []
        while "again" not in said:
            item = bob.next_event(SOON_SECONDS)
            assert item is not None, said
            said += filter(None, [said_in(channel_id, item)])
    assert sorted(said) == ["again", "echo again", "echo hello", "hello", "nothing"]
