from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

MAY = [
    "view_workspacemember",
    "change_workspacemember",  # mute, and let write again
    "delete_workspacemember",  # remove
    "view_auditentry",
]


def let_moderators(apps: Any, schema_editor: Any) -> None:
    """The permissions are normally made after all migrations, which is too late for a group that has them."""
    config = apps.get_app_config("groups")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="groups", codename__in=MAY
    )
    # Who did away with the group did so on purpose.
    for moderators in apps.get_model("auth", "Group").objects.filter(name="Moderators"):
        moderators.permissions.add(*permissions)


class Migration(migrations.Migration):
    dependencies = [("groups", "0005_classrooms"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [migrations.RunPython(let_moderators, migrations.RunPython.noop)]
