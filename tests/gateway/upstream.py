"""A server behind the gateway that answers whatever a test likes, and remembers what it was sent."""

import re
from collections.abc import Callable
from socketserver import StreamRequestHandler, ThreadingTCPServer


class Upstream(ThreadingTCPServer):
    """`heard` has every request that arrived, byte by byte; `answer` says what the next ones are told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.port: int = self.server_address[1]
        self.start_over()

    def start_over(self) -> None:
        self.heard: list[bytes] = []
        self.answer: Callable[[bytes], bytes] = parrot


class _Conversation(StreamRequestHandler):
    """Reads as strictly as the standard has it: lines end with both characters, bodies have a length."""

    server: Upstream

    def handle(self) -> None:
        while head := self._head():
            length = re.search(rb"(?i)\r\nContent-Length: (\d+)\r\n", head)
            request = head + self.rfile.read(int(length[1]) if length else 0)
            self.server.heard.append(request)
            self.wfile.write(self.server.answer(request))
            if b"\r\nConnection: close\r\n" in head:
                return

    def _head(self) -> bytes:
        head = b""
        while line := self.rfile.readline():
            head += line
            if line == b"\r\n":
                return head
        return b""


PUBLIC = "Cache-Control: public, max-age=0, s-maxage=1"
FOR_A_MINUTE = "X-Accel-Expires: 60"


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: text/html", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def long_answer(text: str, *headers: str, status: str = "200 OK") -> bytes:
    """Long enough to be compressed, as pages are."""
    return answer(text.encode() + b" " * 1000, *headers, status=status)


def parrot(request: bytes) -> bytes:
    """For everybody, for a while, and with all that was heard in it: the worst that a cache can be given."""
    return answer(request, PUBLIC, FOR_A_MINUTE)


def headers_of(request: bytes) -> dict[str, list[str]]:
    """By their names in lower case."""
    head = request.partition(b"\r\n\r\n")[0].decode("latin-1")
    told: dict[str, list[str]] = {}
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        told.setdefault(name.lower(), []).append(value)
    return told
