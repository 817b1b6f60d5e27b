from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "cardshop.operations"
