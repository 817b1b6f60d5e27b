from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "cardshop.outbox"
    label = "outbox"
