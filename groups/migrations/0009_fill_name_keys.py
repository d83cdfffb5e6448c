from typing import Any

from django.db import migrations
from django.db.models import OuterRef, Subquery

from groups.models.name_key import LATER
from groups.spelling import look_of, spelling_of

AT_ONCE = 2_000


def fill(apps: Any, schema_editor: Any) -> None:
    """Of names that collide the first keeps its key and the others get their id behind it: all stay as they are."""
    channels, users = apps.get_model("groups", "Channel"), apps.get_model("groups", "User")
    _fill_keys(channels.objects.exclude(kind="direct"), name="name", key="name_key", look="name_look", within="workspace_id")
    _fill_keys(users.objects.all(), name="username", key="username_key", look="username_look", within=None)
    messages = apps.get_model("groups", "Message").objects.filter(pk=OuterRef("message"))
    apps.get_model("groups", "Mention").objects.filter(channel=None).update(
        channel=Subquery(messages.values("channel")[:1])
    )


def _fill_keys(rows: Any, *, name: str, key: str, look: str, within: str | None) -> None:
    taken: set[tuple[Any, str, str]] = set()
    changed: list[Any] = []
    for row in rows.order_by("pk").only("pk", name, *([within] if within else [])).iterator(AT_ONCE):
        for column, made in ((key, spelling_of(getattr(row, name))), (look, look_of(getattr(row, name)))):
            place = getattr(row, within) if within else None
            if (place, column, made) in taken:
                made = f"{made}{LATER}{row.pk}"
            taken.add((place, column, made))
            setattr(row, column, made)
        changed.append(row)
        if len(changed) == AT_ONCE:
            rows.model.objects.bulk_update(changed, [key, look], batch_size=200)
            changed = []
    rows.model.objects.bulk_update(changed, [key, look], batch_size=200)


class Migration(migrations.Migration):
    dependencies = [("groups", "0008_name_keys_and_sidebar")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
