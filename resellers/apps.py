from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ResellersConfig(AppConfig):
    name = "resellers"
    verbose_name = _("Resellers")

    def ready(self) -> None:
        from orders.signals import moved
        from payments.signals import refunded
        from resellers.api import schema  # noqa: F401  registers itself
        from resellers.events.of_orders import tell_that_money_went_back, tell_that_they_moved

        moved.connect(tell_that_they_moved)
        refunded.connect(tell_that_money_went_back)
