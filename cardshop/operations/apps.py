from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class OperationsConfig(AppConfig):
    name = "cardshop.operations"

    def ready(self) -> None:
        import_module("cardshop.operations.deploy_checks")  # registers itself
        import_module("cardshop.operations.alerting")  # and so does this

        from cardshop.operations.migrating import hurry_again, take_your_time

        # Sent for every app that has models.
        pre_migrate.connect(take_your_time)
        post_migrate.connect(hurry_again)
