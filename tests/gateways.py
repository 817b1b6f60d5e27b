"""nginx as `make gateway` starts it, in front of a running shop."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from tests.stack import REPOSITORY, RunningShop, free_ports

MODULE = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")
Change = Callable[[str], str]
# The folder, port and configuration of the first gateway with these settings whose configuration was changed.
_WRITTEN: dict[frozenset[tuple[str, str]], tuple[Path, int, str]] = {}
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


class Gateway:
    """nginx by `manage.py gateway`. `log` is what it says of requests, `errors` what it complains of.

    `change` gets the rendered configuration, with what it includes of ours, and returns what nginx is to run
    with. `var` is a folder of its own, for one that stands beside another gateway of the same shop.

    Requests from 127.0.0.1 come through a proxy that is trusted; from 127.0.0.2 and so on they do not.
    """

    def __init__(
        self,
        shop: RunningShop,
        *,
        environment: Mapping[str, str] | None = None,
        change: Change | None = None,
        var: Path | None = None,
    ) -> None:
        (self.port,) = free_ports(1)
        self.shop = shop
        self.url = f"http://127.0.0.1:{self.port}"
        self._change = change
        self.environment = {
            **shop.environment,
            **(_beside(shop, var) if var else {}),
            "GATEWAY_PORT": str(self.port),
            **(environment or {}),
        }
        here = Path(self.environment["CARDSHOP_VAR"])
        self.folder = here / "gateway"
        self.log = here / "log" / "gateway.log"
        self.errors = here / "nginx.log"

    def __enter__(self) -> Self:
        command = [sys.executable, "manage.py", "gateway"]
        with self.errors.open("ab") as errors:
            how: dict[str, Any] = {
                "cwd": REPOSITORY,
                "env": self.environment,
                "stdout": errors,
                "stderr": errors,
            }
            if self._change:
                if not self._write_like_another():
                    subprocess.run([*command, "--test"], check=True, **how)
                configuration = self.folder / "nginx.conf"
                written = configuration.read_text()
                _WRITTEN.setdefault(self._settings, (self.folder, self.port, written))
                configuration.write_text(self._change(_whole(written)))
                command = [NGINX or "nginx", "-e", "stderr", "-c", str(configuration)]
            self._process = subprocess.Popen(command, **how)
        for _ in range(300):
            if self._process.poll() is not None:
                raise RuntimeError("nginx did not start:\n" + self.errors.read_text())
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        raise RuntimeError("nginx does not listen")

    @property
    def _settings(self) -> frozenset[tuple[str, str]]:
        """What another gateway has to have as well for its files to be those of this one."""
        own = ("CARDSHOP_VAR", "GATEWAY_PORT")
        return frozenset(item for item in self.environment.items() if item[0] not in own)

    def _write_like_another(self) -> bool:
        """What `manage.py gateway` wrote for another, since it takes seconds; whether there was one."""
        if self._settings not in _WRITTEN:
            return False
        folder, port, configuration = _WRITTEN[self._settings]
        for name in ("cache", "temporary"):
            (self.folder / name).mkdir(mode=0o700, parents=True)
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(folder / "refused", self.folder / "refused")
        shutil.copy(folder / "pass_key.json", self.folder)
        here = configuration.replace(f"{folder.parent}/", f"{self.folder.parent}/")
        (self.folder / "nginx.conf").write_text(re.sub(rf"\b{port}\b", str(self.port), here))
        return True

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)

    def client(self, *, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """Somebody at that address of loopback."""
        return httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=20,
            # To read the certificates of the world takes longer than a request, and here is no TLS.
            transport=httpx.HTTPTransport(local_address=address, verify=False),
        )


def replacing(before: str, after: str) -> Change:
    """A `change` of the configuration that cannot miss what it is to change."""

    def change(configuration: str) -> str:
        assert before in configuration, before
        return configuration.replace(before, after)

    return change


def _beside(shop: RunningShop, var: Path) -> dict[str, str]:
    return {
        "CARDSHOP_VAR": str(var),
        "STATIC_ROOT": str(shop.var / "static"),
        "MEDIA_ROOT": str(shop.var / "media"),
        "SECRET_KEY_FILE": str(shop.var / "secrets" / "secret_key"),
    }


def _whole(configuration: str) -> str:
    ours = re.compile(rf"include ({re.escape(str(REPOSITORY))}/\S+\.conf);")
    return ours.sub(lambda line: Path(line[1]).read_text(), configuration)
