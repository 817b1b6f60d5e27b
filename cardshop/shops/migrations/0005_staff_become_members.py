"""Whoever was staff goes on doing what they did: in all the shops there are, with the permissions they have."""

from django.db import migrations
from django.utils import timezone


def make_members(apps, schema_editor):
    User = apps.get_model("auth", "User")
    Shop = apps.get_model("shops", "Shop")
    Membership = apps.get_model("shops", "Membership")
    now = timezone.now()
    Membership.objects.bulk_create(
        Membership(shop=shop, user=user, role="custom", since=now)
        for user in User.objects.filter(is_staff=True, is_superuser=False)
        for shop in Shop.objects.all()
    )


class Migration(migrations.Migration):
    dependencies = [
        ("shops", "0004_members"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(make_members, migrations.RunPython.noop)]
