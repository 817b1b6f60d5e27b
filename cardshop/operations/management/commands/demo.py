"""manage.py demo: the demo shop, as often as you like."""

from typing import Any

from django.core.management.base import BaseCommand

from cardshop.operations.demo import seed


class Command(BaseCommand):
    help = "Creates the demo shop, or what is missing of it."

    def handle(self, *args: Any, **options: Any) -> None:
        seeded = seed()
        self.stdout.write(
            f"demo shop: {seeded.products} products, {seeded.new_keys} new keys, "
            + ("paying through the sandbox" if seeded.pays else "no sandbox (SANDBOX_KEY is not set)")
        )
