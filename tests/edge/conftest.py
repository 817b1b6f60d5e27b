"""Programs that are not ours to bring: skipped without them on a merchant's machine, never in CI."""

import os
import shutil
from pathlib import Path

import pytest

NJS = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")


@pytest.fixture(scope="session")
def node() -> str:
    return _program("node", package="nodejs")


@pytest.fixture(scope="session")
def nginx() -> str:
    """One that can load NJS."""
    if not NJS.exists():
        _is_missing("nginx's njs module", package="libnginx-mod-http-js")
    return _program("nginx", package="nginx-light")


def _program(name: str, *, package: str) -> str:
    # An ordinary user's PATH has no sbin.
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or _is_missing(name, package=package)


def _is_missing(what: str, *, package: str) -> str:
    if "CI" in os.environ:
        pytest.fail(f"CI must have {what}: these tests are never skipped there")
    pytest.skip(f"no {what} on this machine (apt install {package})")
