from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = _("Payments")

    def ready(self) -> None:
        from orders.signals import moved
        from payments.services.topping_up import promise_to_credit

        moved.connect(promise_to_credit)
