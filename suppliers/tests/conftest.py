from collections.abc import Iterator
from typing import Any

import pytest

from cardshop.common import outgoing
from payments.tests.refunder import Refunder
from suppliers.tests.partners import Partners, forget_what_is_known, make_partners


@pytest.fixture
def partners(live_server: Any, settings: Any, refunder: Refunder, line: None) -> Iterator[Partners]:
    settings.SUPPLIERS_PRIVATE_ADDRESSES = True
    yield make_partners(live_server.url)
    forget_what_is_known()
    # A connection that is kept keeps the partner's thread, and that its connection to the database.
    outgoing._client(True).close()
    outgoing._client.cache_clear()
