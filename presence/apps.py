from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PresenceConfig(AppConfig):
    name = "presence"
    verbose_name = _("Presence")

    def ready(self) -> None:
        # They register what clients may call, and what follows a message or a member who comes or goes.
        from presence import announcing, api, joining, typing  # noqa: F401
        from realtime import leasing

        leasing.on_change.append(announcing.soon)
