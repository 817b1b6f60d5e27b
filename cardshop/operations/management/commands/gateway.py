import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from cardshop.operations.gateway import find_nginx, gateway_folder, gateway_port, render_gateway
from cardshop.operations.translations import compile_translations


class Command(BaseCommand):
    help = "Run nginx in front of the running shop in this terminal until Ctrl-C (`make gateway`)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--test", action="store_true", help="only write the configuration and test it")

    def handle(self, *args: Any, test: bool, **options: Any) -> None:
        if (nginx := find_nginx()) is None:
            raise CommandError(
                "nginx with its njs module is needed (apt install nginx-light libnginx-mod-http-js)."
            )
        if not Path(settings.STATIC_ROOT, "staticfiles.json").exists():
            raise CommandError("Static files are needed: start the shop first, or run collectstatic.")
        compile_translations()
        configuration = render_gateway()
        command = [nginx, "-e", "stderr", "-c", str(configuration)]
        if test:
            command.append("-t")
        else:
            self.stdout.write(f"\n  Gateway          port {gateway_port()}")
            self.stdout.write(f"  Maintenance      while {gateway_folder() / 'maintenance'} exists")
            self.stdout.write("  Ctrl-C stops it.\n")
            self.stdout.flush()
        os.execv(nginx, command)  # noqa: S606  no shell
