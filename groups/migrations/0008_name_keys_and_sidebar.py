import django.db.models.deletion
from django.db import migrations, models

from groups.models.name_key import NameKey


class Migration(migrations.Migration):
    """Columns and indexes. What is in them comes next, and then the constraints on it."""

    dependencies = [("groups", "0007_sign_ins_end")]

    operations = [
        migrations.AddField("channel", "name_key", NameKey(of="name", by="spelling")),
        migrations.AddField("channel", "name_look", NameKey(of="name", by="look")),
        migrations.AddField("user", "username_key", NameKey(of="username", by="spelling")),
        migrations.AddField("user", "username_look", NameKey(of="username", by="look")),
        migrations.AddField(
            "mention",
            "channel",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                null=True,
                db_index=False,
                related_name="mentions",
                to="groups.channel",
            ),
        ),
        migrations.AddIndex(
            "mention", models.Index(fields=["user", "channel", "message"], name="mentions_by_user_and_channel")
        ),
        migrations.AddIndex(
            "message",
            models.Index(
                fields=["channel", "id", "author"],
                condition=models.Q(deleted_at=None),
                name="shown_messages_by_channel",
            ),
        ),
        migrations.AlterField(
            "message",
            "channel",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                db_index=False,
                related_name="messages",
                to="groups.channel",
            ),
        ),
        migrations.AlterField(
            "message",
            "thread_root",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                blank=True,
                null=True,
                db_index=False,
                related_name="replies",
                to="groups.message",
            ),
        ),
    ]
