from django.apps import AppConfig


class MeshsiteConfig(AppConfig):
    name = "meshsite"

    def ready(self) -> None:
        from meshsite import boot, tickets  # noqa: F401 - they register methods
