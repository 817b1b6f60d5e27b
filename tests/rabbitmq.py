"""A RabbitMQ of the tests' own: its data, its ports, its epmd; nothing of it outlives the test."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kombu import Connection

from tests.stack import free_ports

START_TIMEOUT = 60
# Not the wrapper in /usr/sbin, which becomes another user and then knows nothing of our folders.
_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def is_installed() -> bool:
    return _PROGRAM.exists()


class RabbitMQ:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        port, distribution, self._names = free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{port}//"
        self._environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        }

    @contextmanager
    def running(self) -> Iterator["RabbitMQ"]:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Ours, and in the foreground: the server would start one that stays.
        epmd = subprocess.Popen(["epmd", "-port", str(self._names)], env=self._environment)
        try:
            self.start()
            yield self
        finally:
            self.stop()
            epmd.kill()
            epmd.wait()

    def start(self) -> None:
        with (self._folder / "out.log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(_PROGRAM)], env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"RabbitMQ did not start:\n{(self._folder / 'out.log').read_text()[-2000:]}"
                )
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=1) as connection:
                connection.connect()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """At once, as if the power failed."""
        self._signal(signal.SIGKILL)
        self._server.wait()

    def wipe(self) -> None:
        shutil.rmtree(self._folder / "data")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """There and silent."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._server.poll() is None:
            os.killpg(self._server.pid, number)
