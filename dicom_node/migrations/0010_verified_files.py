"""Files that the chores verified are remembered, so that no process hashes them again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dicom_node", "0008_rejections")]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="verified",
            field=models.TextField(
                help_text="What its file was when the digests were made: store/verified.py.",
                null=True,
            ),
        ),
    ]
