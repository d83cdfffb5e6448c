"""The settings of the server, with a channel layer on which nobody may rely."""

from meshsite.settings import *  # noqa: F403

CHANNEL_LAYERS = {"default": {"BACKEND": "tests.unreliable.UnreliableLayer", "CONFIG": {"hosts": [REDIS_URL]}}}  # noqa: F405
