"""Against a running shop. It needs a product with 40 to 499 keys and an API key of a reseller with money:

CARDSHOP_URL=http://127.0.0.1:8000 CARDSHOP_KEY=ck_… CARDSHOP_SECRET=… CARDSHOP_VARIANT=steam-50 pytest
"""

import os
import uuid
from collections.abc import Iterator

import pytest
from cardshop_client import Cardshop


def _told(name: str) -> str:
    if not (value := os.environ.get(name)):
        pytest.exit(f"{name} is not set: see tests/conftest.py", returncode=2)
    return value


@pytest.fixture
def shop() -> Iterator[Cardshop]:
    with Cardshop(
        _told("CARDSHOP_URL"), key=_told("CARDSHOP_KEY"), secret=_told("CARDSHOP_SECRET")
    ) as client:
        yield client


@pytest.fixture
def variant() -> str:
    return _told("CARDSHOP_VARIANT")


@pytest.fixture
def key() -> str:
    """An idempotency key that nobody has used."""
    return str(uuid.uuid4())
