"""What a fuzzer makes of the OpenAPI document: no call, however odd, is answered with a 5xx or with another shape."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import StartServer

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_a_fuzzer_finds_no_server_error_and_no_undocumented_answer(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(SEND_PER_MINUTE=1_000_000, SEND_BURST=100_000)
    token = server.manage("create_token", "alice", "--scopes", "read,write,moderate").strip()

    run = subprocess.run(
        [
            *(Path(sys.executable).parent / "schemathesis", "run", f"{server.url}/api/schema/"),
            *("--header", f"Authorization: Bearer {token}", "--checks", CHECKS, "--phases", "coverage,fuzzing"),
            *("--max-examples", "12", "--seed", "7", "--generation-database", "none", "--no-color"),
        ],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )

    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert int(re.search(r"(\d+) generated", run.stdout)[1]) > 1000, run.stdout[-2000:]  # type: ignore[index]
    assert "Traceback" not in server.log_text()
