from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PresenceConfig(AppConfig):
    name = "presence"
    verbose_name = _("Presence")

    def ready(self) -> None:
        # They register what clients may call, and what follows a message or a member who comes or goes.
        from presence import api, joining, typing  # noqa: F401
