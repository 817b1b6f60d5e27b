from django.db import migrations, models


def tell_who_hears_of_what_is_sold_out(apps, schema_editor):
    for destination in apps.get_model("alerts", "Destination").objects.filter(kinds__contains="sold_out"):
        destination.kinds.append("supplier")
        destination.save(update_fields=["kinds"])


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0003_webhooks_are_told_of'),
    ]

    operations = [
        migrations.AlterField(
            model_name='alert',
            name='kind',
            field=models.CharField(choices=[('attention', 'something needs a person'), ('low_stock', 'stock runs low'), ('sold_out', 'sold out'), ('channel', 'a way to pay does not answer'), ('import', 'an import has ended'), ('destination', 'a destination of alerts fails'), ('webhook', 'a webhook was paused'), ('supplier', 'something is wrong with a supplier'), ('given_up', 'work was given up'), ('workers', 'workers are silent'), ('backup', 'the last backup is old')], max_length=20, verbose_name='kind'),
        ),
        migrations.RunPython(tell_who_hears_of_what_is_sold_out, migrations.RunPython.noop),
    ]
