from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SuppliersConfig(AppConfig):
    name = "suppliers"
    verbose_name = _("Suppliers")

    def ready(self) -> None:
        from orders.signals import moved
        from suppliers.noticing import note_what_was_paid

        moved.connect(note_what_was_paid)
