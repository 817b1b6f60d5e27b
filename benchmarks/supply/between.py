"""Stands on the line between two shops. It can hold a call there, and pass it on or cut it off."""

import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Self
from urllib.parse import urlsplit

PATIENCE = 60.0  # seconds
# Of this line alone; the answer has a length when it is passed on.
OF_THE_LINE = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Moment(Enum):
    ASKED = "before the call arrives"
    ANSWERED = "when the answer begins"


class Held:
    """One call, at that moment of it."""

    def __init__(self, method: str, path: str, moment: Moment) -> None:
        self._wanted = (method, re.compile(path), moment)
        self._is_here, self._may_go = Event(), Event()
        self.is_cut = False

    def fits(self, method: str, path: str, moment: Moment) -> bool:
        wanted, pattern, when = self._wanted
        return (wanted, when) == (method, moment) and pattern.search(path) is not None

    def hold(self) -> bool:
        """By the line. Whether the call goes on."""
        self._is_here.set()
        self._may_go.wait(PATIENCE)
        return not self.is_cut

    def wait(self, *, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Until the call is here."""
        for _ in range(int(PATIENCE / 0.5)):
            if self._is_here.wait(0.5):
                return
            meanwhile()
        raise TimeoutError(f"nobody has called: {self._wanted}")

    def pass_on(self) -> None:
        self._may_go.set()

    def cut(self) -> None:
        """The caller gets nothing, or the first half of an answer."""
        self.is_cut = True
        self._may_go.set()


class Between:
    """Listens at `url`, and asks `target`."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target).netloc
        self._held: list[Held] = []
        self._lock = Lock()
        between = self

        class Line(_Line):
            def take(self, moment: Moment) -> Held | None:
                return between._take(self.command, self.path, moment)

            def target(self) -> http.client.HTTPConnection:
                return http.client.HTTPConnection(between._target, timeout=PATIENCE)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Line)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def holding(self, method: str, path: str, moment: Moment) -> Iterator[Held]:
        """The next such call is held; within the block it has to be waited for."""
        held = Held(method, path, moment)
        with self._lock:
            self._held.append(held)
        try:
            yield held
        finally:
            held.pass_on()
            with self._lock:
                self._held = [each for each in self._held if each is not held]

    def _take(self, method: str, path: str, moment: Moment) -> Held | None:
        with self._lock:
            for held in self._held:
                if held.fits(method, path, moment):
                    self._held.remove(held)
                    return held
        return None


class _Line(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def take(self, moment: Moment) -> Held | None:
        raise NotImplementedError

    def target(self) -> http.client.HTTPConnection:
        raise NotImplementedError

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if (held := self.take(Moment.ASKED)) and not held.hold():
            self.close_connection = True
            return
        line = self.target()
        try:
            line.request(self.command, self.path, body or None, dict(self.headers))
            answer = line.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):  # it is not there, or has died over it
            self.close_connection = True
            return
        finally:
            line.close()
        held = self.take(Moment.ANSWERED)
        goes_on = held is None or held.hold()
        try:
            self._answer(answer, said, whole=goes_on)
        except OSError:  # whoever asked has died
            self.close_connection = True

    def _answer(self, answer: http.client.HTTPResponse, said: bytes, *, whole: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in OF_THE_LINE:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said if whole else said[: len(said) // 2])
        self.close_connection = not whole

    def log_message(self, *_: object) -> None:
        pass
