from django.apps import AppConfig


class MeshsiteConfig(AppConfig):
    name = "meshsite"

    def ready(self) -> None:
        # They register methods and hear of sign-outs.
        from meshsite import accounts, boot, tickets  # noqa: F401
