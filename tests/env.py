"""The environment of a test run, whatever the developer's own is. Loaded (-p tests.env) before Django's settings."""

import atexit
import os
import shutil
import tempfile

SECRET_KEY = "known-to-every-reader-of-the-tests-and-used-nowhere-else"

# Production code paths, as far as they go without TLS.
VARIABLES = {
    "DEBUG": "0",
    "DEMO": "0",
    "SECRET_KEY": SECRET_KEY,
    "HTTPS": "0",
    "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
    "DATABASE_URL": os.environ.get("TEST_POSTGRES_URL", "sqlite://:memory:"),
    "REDIS_URL": "",
    # Of this run alone: another one in the same tree may be at work.
    "STATIC_ROOT": tempfile.mkdtemp(prefix="meshsite-static-"),
}
os.environ.update(VARIABLES)
atexit.register(shutil.rmtree, VARIABLES["STATIC_ROOT"], ignore_errors=True)
