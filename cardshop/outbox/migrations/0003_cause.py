from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('outbox', '0002_given_up'),
    ]

    operations = [
        migrations.AddField(
            model_name='outboxmessage',
            name='cause',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=55, verbose_name='cause'),
        ),
    ]
