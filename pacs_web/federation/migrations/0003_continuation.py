from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("federation", "0002_location_complete")]

    operations = [
        migrations.CreateModel(
            name="Continuation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=64, unique=True)),
                ("token", models.TextField()),
                ("made_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
