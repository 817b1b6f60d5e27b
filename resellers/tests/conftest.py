from collections.abc import Iterator
from typing import Any

import pytest

from resellers.tests.receiving import Receiver
from resellers.tests.receiving import receiver as running


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """On this machine, so that addresses of it have to be allowed."""
    settings.WEBHOOKS_PRIVATE_ADDRESSES = True
    with running() as receiving:
        yield receiving
