"""What `manage.py check` says of the broker."""

import pytest
from django.core.checks import run_checks


def found() -> list[str | None]:
    return [message.id for message in run_checks(tags=["broker"])]


@pytest.mark.parametrize(
    "url", ["amqp://shop:secret@queue.example.org/shop", "redis://localhost", "rediss://r"]
)
def test_a_broker_that_the_shop_can_use_is_no_error(settings, url):
    settings.CELERY_BROKER_URL = url

    assert found() == []


@pytest.mark.parametrize("url", ["amqps://queue.example.org", "sqs://", "queue.example.org:5672"])
def test_any_other_is_said_before_it_is_used(settings, url):
    settings.CELERY_BROKER_URL = url

    assert found() == ["cardshop.E002"]
