"""What `manage.py check --deploy` knows of this shop beyond Django's own checks."""

from typing import Any

from django.core.checks import Error, Tags, register

from cardshop.operations.translations import REPOSITORY


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
