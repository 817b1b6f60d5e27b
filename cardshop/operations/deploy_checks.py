"""What `manage.py check` knows of this shop beyond Django's own checks."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, Tags, register
from django.core.checks import Warning as Caution

from cardshop.common.metrics import FOLDER
from cardshop.operations.translations import REPOSITORY
from cardshop.settings import broker


@register(Tags.translation, deploy=True)
def translations_are_compiled(app_configs: Any, **options: Any) -> list[Error]:
    """Without its .mo the Chinese shop would speak English, and nobody would be told."""
    sources = sorted(REPOSITORY.glob("locale/*/LC_MESSAGES/*.po"))
    if all(source.with_suffix(".mo").exists() for source in sources):
        return []
    return [
        Error(
            "The translations are not compiled, so every page would be in English.",
            hint="Run manage.py compilemessages.",
            id="cardshop.E001",
        )
    ]


@register(deploy=True)
def processes_count_together(app_configs: Any, **options: Any) -> list[Caution]:
    """Each process would count for itself, and /metrics tell of whichever happens to answer."""
    if FOLDER:
        return []
    return [
        Caution(
            "PROMETHEUS_MULTIPROC_DIR is not set, so /metrics tells of one process only.",
            hint="Set it to a folder that all processes share: docs/metrics.md.",
            id="cardshop.W001",
        )
    ]


@register("broker")
def broker_is_supported(app_configs: Any, **options: Any) -> list[Error]:
    """Celery would believe many a scheme; these are the ones that the shop is tested with."""
    scheme = urlsplit(settings.CELERY_BROKER_URL).scheme
    if scheme in broker.SCHEMES:
        return []
    return [
        Error(
            f"BROKER_URL begins with {scheme!r}, which is no broker that this shop can use.",
            hint="RabbitMQ: amqp://…; Redis: redis://…, rediss://… or redis+socket://…",
            id="cardshop.E002",
        )
    ]
