from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ShopsConfig(AppConfig):
    name = "cardshop.shops"
    label = "shops"
    verbose_name = _("Shops")

    def ready(self) -> None:
        import_module("cardshop.shops.checks")  # registers itself
