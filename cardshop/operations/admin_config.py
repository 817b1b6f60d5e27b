"""Puts our admin site in the place of Django's. Apart from apps.py, where Django would find two configs."""

from importlib import import_module

from django.contrib.admin.apps import AdminConfig


class CardshopAdminConfig(AdminConfig):
    default_site = "cardshop.operations.admin_site.CardshopAdminSite"

    def ready(self) -> None:
        super().ready()
        # After autodiscovery: other packages have registered these with pages that show too much.
        from cardshop.operations.people import register_people

        register_people()
        import_module("cardshop.operations.members")  # registers itself
