from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from cardshop.audit.recording import record_command
from cardshop.common.audit import Action, deed_on


class Command(BaseCommand):
    help = "Make the first account of a new installation, and print the link to its first password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument("--email", default="", help="where warnings of the installation go")
        parser.add_argument("--host", default="", help="the administration's host; else of ALLOWED_HOSTS")

    def handle(self, *args: Any, **options: Any) -> None:
        """The link is good once, as its token is bound to the password that there is not yet."""
        if any(user.has_usable_password() for user in User.objects.filter(is_superuser=True)):
            raise CommandError("There is a superuser already: log in, or use `manage.py changepassword`.")
        with transaction.atomic():
            user, is_new = User.objects.get_or_create(
                username=options["username"],
                defaults={
                    "email": options["email"],
                    "is_staff": True,
                    "is_superuser": True,
                    "password": make_password(None),
                },
            )
            if is_new:
                record_command("setup", [deed_on(user, Action.ADDED, shop_id=None)])
        if not user.is_superuser:
            raise CommandError(f"{user.get_username()} is the name of somebody else: choose a --username.")
        hosts = [host for host in settings.ALLOWED_HOSTS if host and host[0] not in ".*"]
        if not (host := options["host"] or next(iter(hosts), "")):
            raise CommandError("Say the --host of the administration: ALLOWED_HOSTS names none.")
        uid = urlsafe_base64_encode(force_bytes(user.pk))
        path = reverse("admin:welcome", args=[uid, default_token_generator.make_token(user)])
        self.stdout.write(f"{settings.SITE_SCHEME}://{host}{settings.SITE_PORT}{path}")
