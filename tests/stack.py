"""The whole shop as a newcomer runs it: built-in servers, gunicorn, workers, beat, sandbox gateway."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import httpx
import psutil  # type: ignore[import-untyped, unused-ignore]

REPOSITORY = Path(__file__).resolve().parents[1]
START_TIMEOUT = 170
# Whatever points to other servers or other settings: this shop has its own.
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "CARDSHOP_VAR", "DJANGO_SETTINGS_MODULE")


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class RunningShop:
    """What `make run` starts, with its data below `var`. Everything it prints goes to `log`.

    `environment` is added to that of the shop and of every management command; until it is entered,
    more may be added.
    """

    def __init__(self, var: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.var = var
        self.log = var / "shop.log"
        self._commands: subprocess.Popen[str] | None = None
        port, hot_port, api_port, sandbox_port = free_ports(4)
        self.url = f"http://127.0.0.1:{port}"
        self.hot_url = f"http://127.0.0.1:{hot_port}"
        self.pools = {hot_port: "hot", api_port: "api"}  # the web processes but `web`, by their port
        self.sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in _FOREIGN},
            "CARDSHOP_VAR": str(var),
            "PORT": str(port),
            "HOT_PORT": str(hot_port),
            "API_PORT": str(api_port),
            "SANDBOX_PORT": str(sandbox_port),
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        self.var.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "cardshop.embedded", "--var", str(self.var), "--"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, sys.executable, "manage.py", "up"],
                cwd=REPOSITORY,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._commands is not None:
            self._commands.kill()
            self._commands.communicate()
            self._commands = None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)

    def kill(self) -> None:
        """All of it at once and by SIGKILL, as when the machine dies. It may be entered again."""
        whole = psutil.Process(self.pid)
        for process in (whole, *whole.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    @property
    def is_dead(self) -> bool:
        return self._process.poll() is not None

    @property
    def pid(self) -> int:
        """Of the process that all others of the shop descend from."""
        return self._process.pid

    def manage(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a management command against this shop; never raises for its exit code."""
        if self._commands is None:
            self._commands = subprocess.Popen(
                [sys.executable, "-m", "tests.commands"],
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._commands.stdin
        assert self._commands.stdout
        self._commands.stdin.write(json.dumps([arguments, text]) + "\n")
        self._commands.stdin.flush()
        return subprocess.CompletedProcess(arguments, *json.loads(self._commands.stdout.readline()))

    @contextmanager
    def channel_off(self, slug: str) -> Iterator[None]:
        """That channel takes no payments meanwhile, so its method goes through the other one that has it."""
        self._switch(slug, is_enabled=False)
        try:
            yield
        finally:
            self._switch(slug, is_enabled=True)

    def _switch(self, slug: str, *, is_enabled: bool) -> None:
        lines = [
            "from payments.models import PaymentChannel",
            f"assert PaymentChannel.objects.filter(slug={slug!r}).update(is_enabled={is_enabled})",
        ]
        said = self.manage("shell", "-c", "\n".join(lines))
        assert said.returncode == 0, said.stderr

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with httpx.Client(timeout=2) as client:  # one: each reads the certificates of the world
            while time.monotonic() < deadline and self._process.poll() is None:
                with suppress(httpx.TransportError):
                    if all(client.get(f"{url}/readyz").is_success for url in (self.url, self.hot_url)):
                        return
                time.sleep(0.2)
        raise RuntimeError("the shop did not start:\n" + self.log.read_text()[-3000:])
