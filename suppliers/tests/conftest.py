from collections.abc import Iterator
from typing import Any

import pytest

from payments.tests.refunder import Refunder
from suppliers.tests.partners import Partners, forget_what_is_known, make_partners


@pytest.fixture
def partners(live_server: Any, settings: Any, refunder: Refunder, line: None) -> Iterator[Partners]:
    settings.SUPPLIERS_PRIVATE_ADDRESSES = True
    yield make_partners(live_server.url)
    forget_what_is_known()
