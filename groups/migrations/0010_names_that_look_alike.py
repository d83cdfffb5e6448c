import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("groups", "0009_fill_name_keys")]

    operations = [
        migrations.AlterField(
            "mention",
            "channel",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                db_index=False,
                related_name="mentions",
                to="groups.channel",
            ),
        ),
        migrations.RemoveConstraint("channel", "one_channel_per_name_in_any_case"),
        migrations.AddConstraint(
            "channel",
            models.UniqueConstraint(
                fields=["workspace", "name_key"],
                condition=~models.Q(kind="direct"),
                name="one_channel_per_name_in_any_case",
            ),
        ),
        migrations.AddConstraint(
            "channel",
            models.UniqueConstraint(
                fields=["workspace", "name_look"],
                condition=~models.Q(kind="direct"),
                name="one_channel_per_look_of_a_name",
            ),
        ),
        migrations.AddConstraint(
            "user", models.UniqueConstraint(fields=["username_key"], name="one_user_per_spelling_of_a_name")
        ),
        migrations.AddConstraint(
            "user", models.UniqueConstraint(fields=["username_look"], name="one_user_per_look_of_a_name")
        ),
    ]
