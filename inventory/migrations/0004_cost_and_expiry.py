import django.core.validators
from django.db import migrations, models

CURRENCIES = [("CNY", "CNY"), ("USD", "USD"), ("EUR", "EUR"), ("HKD", "HKD"), ("JPY", "JPY")]


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0003_selling_in_waves"),
    ]

    operations = [
        migrations.AddField(
            model_name="keybatch",
            name="unit_cost_minor",
            field=models.BigIntegerField(
                blank=True,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="cost of a key in minor units",
            ),
        ),
        migrations.AddField(
            model_name="keybatch",
            name="cost_currency",
            field=models.CharField(
                blank=True,
                choices=CURRENCIES,
                db_default="",
                default="",
                max_length=3,
                verbose_name="currency of the cost",
            ),
        ),
        migrations.AddField(
            model_name="keybatch",
            name="expires_on",
            field=models.DateField(blank=True, null=True, verbose_name="good until"),
        ),
        migrations.AddConstraint(
            model_name="keybatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("unit_cost_minor", None),
                    models.Q(
                        ("unit_cost_minor__gte", 0), models.Q(("cost_currency", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="keybatch_cost_has_currency",
            ),
        ),
        migrations.AddField(
            model_name="cardkey",
            name="expires_on",
            field=models.DateField(blank=True, null=True, verbose_name="good until"),
        ),
        migrations.RemoveIndex(model_name="cardkey", name="cardkey_available"),
        migrations.AddIndex(
            model_name="cardkey",
            index=models.Index(
                condition=models.Q(("status", "available")),
                fields=["variant", "expires_on", "id"],
                name="cardkey_by_expiry",
            ),
        ),
    ]
