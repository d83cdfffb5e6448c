from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GroupsConfig(AppConfig):
    name = "groups"
    verbose_name = _("Chat")

    def ready(self) -> None:
        # They register what clients may call, who hears of what, and what replay lets out.
        from groups import api, audiences, replay  # noqa: F401
        from groups.mesh import events  # noqa: F401
