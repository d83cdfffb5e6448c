from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

MAY = ["view_message", "delete_message", "view_channel", "view_workspace", "view_user"]


def make_moderators(apps: Any, schema_editor: Any) -> None:
    """The permissions are normally made after all migrations, which is too late for a group that has them."""
    config = apps.get_app_config("groups")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects
    moderators, _ = apps.get_model("auth", "Group").objects.get_or_create(name="Moderators")
    moderators.permissions.set(permissions.filter(content_type__app_label="groups", codename__in=MAY))


class Migration(migrations.Migration):
    dependencies = [
        ("groups", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_moderators, migrations.RunPython.noop)]
