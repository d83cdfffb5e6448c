"""`make run`: migrate, load the demo into an empty database, say where everything is, become the server."""

import os
import socket
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError

SERVE = Path(__file__).resolve().parent / "serve"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "meshsite.settings")
    os.environ.setdefault("DEBUG", "1")
    os.environ.setdefault("DEMO", "1")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    refuse_taken_port(settings.PORT)
    prepare()
    sys.stdout.write(f"\nMeshsite is at http://127.0.0.1:{settings.PORT}/ (Ctrl-C ends it)\n\n")
    sys.stdout.flush()
    os.execv(SERVE, [str(SERVE)])


def refuse_taken_port(port: int) -> None:
    with socket.socket() as listener:
        # As the server does it: a port that only lingers in TIME_WAIT is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except PermissionError:
            sys.exit(f"Port {port} needs more rights than you have. Choose another one: PORT=8001 make run")
        except OverflowError:
            sys.exit(f"PORT must be at most 65535, not {port}.")
        except OSError:
            sys.exit(f"Port {port} is taken by another program. Choose another one: PORT={port + 1} make run")


def prepare() -> None:
    try:
        call_command("migrate", verbosity=0)
        if settings.DEMO:
            call_command("demo", if_empty=True)
    except OperationalError as error:
        sys.exit(f"The database cannot be used (DATABASE_URL says which one it is): {error}")
    if not settings.DEBUG:
        call_command("collectstatic", interactive=False, verbosity=0)


if __name__ == "__main__":
    main()
