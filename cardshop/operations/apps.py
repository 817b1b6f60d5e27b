from importlib import import_module

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "cardshop.operations"

    def ready(self) -> None:
        import_module("cardshop.operations.deploy_checks")  # registers itself
        import_module("cardshop.operations.alerting")  # and so does this
