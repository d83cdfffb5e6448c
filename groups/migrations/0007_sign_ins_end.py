from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("groups", "0006_moderators_may")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="sign_ins_ended_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
