"""`manage.py forget_second_factor NAME`: for a merchant who has lost the phone."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django_otp.plugins.otp_totp.models import TOTPDevice

from cardshop.audit.recording import record_command
from cardshop.common.audit import deeds_between, standing


class Command(BaseCommand):
    help = "Remove a user's code device; where codes are required, the next login sets up another one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: object, username: str, **options: object) -> None:
        devices = TOTPDevice.objects.filter(user__username=username)
        with transaction.atomic():
            record_command(
                "forget_second_factor", deeds_between(standing(devices), {}, shop_of=lambda _: None)
            )
            gone, _ = devices.delete()
        if not gone:
            raise CommandError(f"{username} has no device")
        self.stdout.write(f"{username} logs in with the password alone now, until the next set-up")
