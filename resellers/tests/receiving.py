"""Programs that receive webhooks, each on a port of its own of this machine."""

import hmac
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Moment
from threading import Thread

from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from resellers.events.emitting import emit
from resellers.models import Event, EventKind, Reseller, WebhookEndpoint
from resellers.webhooks.endpoints import make_endpoint
from tests.factories import the_shop


@dataclass
class Receiver:
    """Answers `status` and `says`, and nothing at all while it `hangs`. `heard` are headers and bodies.

    It says what it was told in the place of `{headers}`, and where else to go of any redirect.
    """

    url: str = ""
    status: int = 204
    says: str = ""
    hangs: bool = False
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    may_go_on: Moment = field(default_factory=Moment)

    def has_signed(self, secret: str, at: int = 0) -> bool:
        headers, body = self.heard[at]
        signed = f"{headers['Cardshop-Timestamp']}.{headers['Cardshop-Delivery']}.".encode() + body
        right = hmac.digest(secret.encode(), signed, "sha256").hex()
        return hmac.compare_digest(right, headers["Cardshop-Signature"])


@contextmanager
def receiver(**mood: object) -> Iterator[Receiver]:
    receiving = Receiver(**mood)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiving.heard.append((dict(self.headers), body))
            receiving.heard_at.append(time.monotonic())
            if receiving.hangs:
                receiving.may_go_on.wait(20)
                self.close_connection = True
                return
            said = receiving.says.replace("{headers}", str(self.headers)).encode()
            self.send_response(receiving.status)
            self.send_header("Location", receiving.url)
            if receiving.status != 204:
                self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            if receiving.status != 204:
                self.wfile.write(said)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiving.url = f"http://127.0.0.1:{server.server_port}/hook"
    Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield receiving
    finally:
        receiving.may_go_on.set()
        server.shutdown()
        server.server_close()


def make_webhook(
    url: str, *, reseller: Reseller | None = None, shop: Shop | None = None, kinds: Sequence[str] = ()
) -> tuple[WebhookEndpoint, str]:
    shop = shop or (reseller.shop if reseller else the_shop())
    return make_endpoint(shop, url=url, kinds=kinds or EventKind.values, reseller=reseller, now=db_now())


def tell(endpoint: WebhookEndpoint, *subjects: str) -> list[Event]:
    """Events that only this endpoint hears of, if it is a reseller's."""
    events = [
        Event(
            shop=endpoint.shop, reseller=endpoint.reseller, kind=EventKind.PAID, subject=subject, at=db_now()
        )
        for subject in subjects
    ]
    emit(events, now=db_now())
    return events
