from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.tests.actors import RunningSandbox, Shop, free_port


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    sandbox = RunningSandbox(tmp_path_factory.mktemp("sandbox"), port=free_port())
    yield sandbox
    sandbox.kill()


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    """The one running sandbox, all knobs turned back; trades of earlier tests are still in it."""
    running.http.post("/_sandbox/reset")
    return running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], RunningSandbox]]:
    """Start a sandbox of one's own; started again, it has the same port and ledger."""
    started: list[RunningSandbox] = []
    port = free_port()

    def start() -> RunningSandbox:
        started.append(RunningSandbox(tmp_path, port=port))
        return started[-1]

    yield start
    for sandbox in started:
        sandbox.kill()


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()
