import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("groups", "0010_names_that_look_alike")]

    operations = [
        migrations.AddField("meshgroup", "log_epoch", models.CharField(blank=True, default="", editable=False, max_length=64), preserve_default=False),
        migrations.AddField("meshgroup", "log_generation", models.PositiveIntegerField(default=0, editable=False)),
        migrations.AddField("meshgroup", "host_key", models.CharField(blank=True, default="", editable=False, max_length=80), preserve_default=False),
        migrations.AddField("meshbinding", "bound_at", models.DateTimeField(default=django.utils.timezone.now), preserve_default=False),
        migrations.AlterField("meshbinding", "node", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="bindings", to="groups.meshnode")),
    ]
