"""Requests written byte by byte: no decent client would send these."""

import re
import socket
from contextlib import closing

from tests.gateway.upstream import Upstream
from tests.gateways import Gateway

CHUNKED = "Transfer-Encoding: chunked"


def request(line: str, *headers: str, body: str = "") -> str:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: {host}", *headers, "", body])


# Asks to be answered, if anybody takes it for a request of its own.
HIDDEN = request("GET /buy/direct/", "Connection: close")


def answers(listener: Gateway | Upstream, said: str, *, patience: float = 20) -> list[int]:
    """The status of every answer to these bytes; [0] for one without a status line.

    `patience` is for each read, in seconds; nginx lingers for five. Raises TimeoutError.
    """
    heard = b""
    with closing(socket.create_connection(("127.0.0.1", listener.port))) as connection:
        connection.settimeout(patience)
        try:
            connection.sendall(said.replace("{host}", host_of(listener)).encode())
            while chunk := connection.recv(65536):
                heard += chunk
        except ConnectionError:
            pass  # hung up on while still talking; what was heard counts
    found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", heard)]
    return found or [0] * bool(heard)


def host_of(listener: Gateway | Upstream) -> str:
    return f"127.0.0.1:{listener.port}"
