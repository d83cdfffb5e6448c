"""Pages and API without sockets, for WSGI workers beside the ASGI ones."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "meshsite.settings")

application = get_wsgi_application()
