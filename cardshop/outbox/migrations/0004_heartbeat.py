from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("outbox", "0003_cause"),
    ]

    operations = [
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField()),
            ],
        ),
    ]
