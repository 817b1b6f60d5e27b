"""The two sides of every test: the sandbox as a running program, and a shop that it notifies."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Condition, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from sandbox import epay

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 30.0
PID, KEY = "1001", "canary-of-1001"
numbers = count(1)


def wait_until(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RunningSandbox:
    """`python -m sandbox` with a ledger of its own, and a client to call it."""

    def __init__(self, directory: Path, *, port: int, **environment: str) -> None:
        self.port = port
        self.log = directory / "sandbox.log"
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.base_url, trust_env=False, timeout=PATIENCE_S)
        environment = {
            **os.environ,
            "SANDBOX_PORT": str(self.port),
            "SANDBOX_DB": str(directory / "ledger.sqlite3"),
            "SANDBOX_MERCHANTS": f"{PID}:{KEY},1002:canary-of-1002",
            **environment,
        }
        with self.log.open("ab") as log:
            self.program = subprocess.Popen(
                [sys.executable, "-m", "sandbox"],
                cwd=REPOSITORY,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers)

    def answers(self) -> bool:
        assert self.program.poll() is None, self.log.read_text()
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """As a power cut does it: all of it at once, and no goodbye."""
        self.http.close()
        if self.program.poll() is None:
            os.killpg(self.program.pid, signal.SIGKILL)
            self.program.wait()

    def create(self, form: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.post("/mapi.php", data=form).json()
        return answer

    def open_trade(self, form: dict[str, str]) -> str:
        answer = self.create(form)
        assert answer["code"] == 1, answer
        return str(answer["trade_no"])

    def turn(self, **knobs: object) -> None:
        answer = self.http.post("/_sandbox/knobs", json=knobs)
        assert answer.status_code == 200, answer.text

    def pay(self, trade_no: str, **wishes: object) -> httpx.Response:
        return self.http.post(f"/_sandbox/trades/{trade_no}/pay", json=wishes)

    def order(self, **wanted: str) -> dict[str, object]:
        query = {"act": "order", "pid": PID, "key": KEY, **wanted}
        answer: dict[str, object] = self.http.get("/api.php", params=query).json()
        return answer

    def refund(self, **wanted: str) -> dict[str, object]:
        form = {"pid": PID, "key": KEY, **wanted}
        answer: dict[str, object] = self.http.post("/api.php", params={"act": "refund"}, data=form).json()
        return answer

    def booked(self, trade_no: str) -> dict[str, object]:
        [trade] = [t for t in self.http.get("/_sandbox/ledger").json() if t["trade_no"] == trade_no]
        return dict(trade)

    def outcomes(self, trade_no: str) -> list[str | None]:
        notices = self.http.get("/_sandbox/notices").json()
        return [notice["outcome"] for notice in notices if notice["trade_no"] == trade_no]


@dataclass
class Received:
    at: float
    path: str
    said: dict[str, str]


class Shop:
    """A merchant's server. It takes note of every notice, and acknowledges unless told not to."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.replies: list[tuple[int, str]] = []  # for the next notices; then it is "success"
        self._changed = Condition()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = shop.take_note(self.path)
                self.send_response(status)
                self.send_header("Location", "/redirected")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def take_note(self, target: str) -> tuple[int, str]:
        parts = urlsplit(target)
        said = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self._changed:
            self.received.append(Received(time.monotonic(), parts.path, said))
            self._changed.notify_all()
            return self.replies.pop(0) if self.replies else (200, "success")

    def wait_for(self, notices: int) -> list[dict[str, str]]:
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.received) >= notices, PATIENCE_S)
            assert arrived, f"{len(self.received)} of {notices} notices came"
            return [received.said for received in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bill(self, **changes: str) -> dict[str, str]:
        """A signed call of mapi.php; a change to "" leaves the field out."""
        form = {
            "pid": PID,
            "type": "alipay",
            "out_trade_no": f"T{next(numbers)}",
            "notify_url": f"{self.base_url}/notify",
            "return_url": f"{self.base_url}/return?order=7",
            "name": "VIP会员",
            "money": "1.00",
            "clientip": "127.0.0.1",
            **changes,
        }
        return epay.signed({name: value for name, value in form.items() if value}, KEY)
