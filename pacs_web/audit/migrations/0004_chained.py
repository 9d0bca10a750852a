"""Chains the rows that are there, and lets the database refuse to change them."""

from django.db import migrations, models

from pacs_web.audit import chain, triggers

RESULTS = {"refused": "refused", "login-failed": "failed"}


def tell_results(apps, schema_editor):
    rows = apps.get_model("audit", "AuditEvent")._base_manager
    for action, result in RESULTS.items():
        rows.filter(action=action).update(result=result)
    rows.filter(detail__has_key="failed").update(result="failed")


def chain_rows(apps, schema_editor):
    rows = apps.get_model("audit", "AuditEvent")._base_manager
    previous = chain.FIRST
    for row in rows.order_by("id").iterator(2000):
        digest = chain.digest_of(previous, row)
        rows.filter(id=row.id).update(previous=previous, digest=digest)
        previous = digest


def lay_triggers(apps, schema_editor):
    triggers.lay_triggers(None, using=schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_storing_and_rejecting")]
    operations = [
        migrations.AlterField("auditevent", "action", models.CharField(max_length=40)),
        migrations.AddField(
            "auditevent", "result", models.CharField(default="success", max_length=10)
        ),
        migrations.AddField(
            "auditevent", "agent", models.CharField(blank=True, default="", max_length=80)
        ),
        migrations.AddField(
            "auditevent", "source", models.CharField(default="portal", max_length=64)
        ),
        migrations.AddField(
            "auditevent", "source_key", models.CharField(blank=True, default="", max_length=64)
        ),
        migrations.AddField(
            "auditevent",
            "previous",
            models.CharField(default="", editable=False, max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            "auditevent",
            "digest",
            models.CharField(default="", editable=False, max_length=64),
            preserve_default=False,
        ),
        migrations.AddIndex("auditevent", models.Index(fields=["who", "at"], name="audit_who")),
        migrations.AddIndex(
            "auditevent", models.Index(fields=["action", "at"], name="audit_action")
        ),
        migrations.AddIndex(
            "auditevent", models.Index(fields=["result", "at"], name="audit_result")
        ),
        migrations.AddIndex(
            "auditevent", models.Index(fields=["source", "at"], name="audit_source")
        ),
        migrations.AddConstraint(
            "auditevent",
            models.UniqueConstraint(
                fields=["source", "source_key"],
                condition=~models.Q(source_key=""),
                name="audit_collected_once",
            ),
        ),
        migrations.RunPython(tell_results, migrations.RunPython.noop),
        migrations.RunPython(chain_rows, migrations.RunPython.noop),
        migrations.RunPython(lay_triggers, migrations.RunPython.noop),
    ]
