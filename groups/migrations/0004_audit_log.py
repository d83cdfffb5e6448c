"""The database itself refuses to change the audit log. Whoever alters these tables later on SQLite, which then copies
them, has to make the triggers again: `guard` may run any number of times.
"""

from typing import Any

from django.db import migrations, models

ACTIONS = [
    ("message.deleted", "message deleted"),
    ("member.silenced", "member muted"),
    ("member.unsilenced", "member may write again"),
    ("member.removed", "member removed"),
    ("user.deactivated", "account deactivated"),
    ("user.reactivated", "account opened again"),
    ("invite.revoked", "invite revoked"),
    ("token.revoked", "token revoked"),
]

ENTRY, HEAD = "groups_auditentry", "groups_audithead"
REFUSAL = "the audit log is only added to"

# trigger, table, when; on SQLite a trigger has one event, and nothing truncates
TRIGGERS = {
    "sqlite": [
        ("audit_entries_are_not_changed", ENTRY, f"BEFORE UPDATE ON {ENTRY}"),
        ("audit_entries_are_not_deleted", ENTRY, f"BEFORE DELETE ON {ENTRY}"),
        (
            "the_audit_head_goes_on_by_one",
            HEAD,
            f"BEFORE UPDATE ON {HEAD} WHEN NEW.id <> OLD.id OR NEW.number <> OLD.number + 1",
        ),
        ("the_audit_head_is_not_deleted", HEAD, f"BEFORE DELETE ON {HEAD}"),
    ],
    "postgresql": [
        ("audit_entries_are_not_changed_or_deleted", ENTRY, f"BEFORE UPDATE OR DELETE ON {ENTRY} FOR EACH ROW"),
        ("audit_entries_are_not_truncated", ENTRY, f"BEFORE TRUNCATE ON {ENTRY} FOR EACH STATEMENT"),
        (
            "the_audit_head_goes_on_by_one",
            HEAD,
            f"BEFORE UPDATE ON {HEAD} FOR EACH ROW WHEN (NEW.id <> OLD.id OR NEW.number <> OLD.number + 1)",
        ),
        ("the_audit_head_is_not_deleted", HEAD, f"BEFORE DELETE ON {HEAD} FOR EACH ROW"),
        ("the_audit_head_is_not_truncated", HEAD, f"BEFORE TRUNCATE ON {HEAD} FOR EACH STATEMENT"),
    ],
}
REFUSE_ON_POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION refuse_to_change_the_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""


def guard(apps: Any, schema_editor: Any) -> None:
    unguard(apps, schema_editor)
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(REFUSE_ON_POSTGRESQL)
        refuse = "EXECUTE FUNCTION refuse_to_change_the_audit_log()"
    else:
        refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for name, _table, when in TRIGGERS[vendor]:
        schema_editor.execute(f"CREATE TRIGGER {name} {when} {refuse}")


def unguard(apps: Any, schema_editor: Any) -> None:
    vendor = schema_editor.connection.vendor
    for name, table, _when in TRIGGERS[vendor]:
        on = f" ON {table}" if vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")


class Migration(migrations.Migration):
    dependencies = [("groups", "0003_conversation")]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(choices=ACTIONS, max_length=40, verbose_name="action"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["target", "number"], name="audit_entries_by_target"),
        ),
        migrations.RunPython(guard, unguard),
    ]
