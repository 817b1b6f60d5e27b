"""A running shop and a real browser. No test in this folder touches the database by itself."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.prepared import prepared_var
from tests.stack import RunningShop

# The one without windows is the same engine at a quarter of the processor time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="package")
def chromium() -> str:
    """Where it is. Asked for first: without it no shop has to be started."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have a Chromium: browser tests are never skipped there")
        pytest.skip("no Chromium on this machine (apt install chromium)")
    return CHROMIUM


@pytest.fixture(scope="package")
def shop(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    with RunningShop(prepared_var(tmp_path_factory, "shop")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path:
    """Where screenshots go: var/screenshots/<test>/, to be looked at by people."""
    folder = Path(request.config.rootpath, "var", "screenshots", request.node.name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
