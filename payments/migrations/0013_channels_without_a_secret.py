from django.db import migrations, models


class Migration(migrations.Migration):
    """A channel that speaks to no provider had an empty text for a secret, which is no sealed value."""

    dependencies = [("payments", "0012_figures")]

    operations = [
        migrations.AlterField(
            model_name="paymentchannel",
            name="sealed_secret",
            field=models.BinaryField(editable=False, null=True),
        ),
        migrations.RunSQL(
            "UPDATE payments_paymentchannel SET sealed_secret = NULL WHERE sealed_secret = ''",
            reverse_sql="UPDATE payments_paymentchannel SET sealed_secret = '' WHERE sealed_secret IS NULL",
        ),
    ]
