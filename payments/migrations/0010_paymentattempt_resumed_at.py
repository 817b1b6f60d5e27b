from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0009_balance'),
    ]

    operations = [
        migrations.AddField(
            model_name='paymentattempt',
            name='resumed_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
