"""The least that an admission over HTTP can cost on this server: the body, the script, an answer.

No passes, no e-mail to look at, no keys to derive: whatever the view does more is what it costs.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from orders.admission import gate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TAG = os.environ["BARE_TAG"]
GATE, STREAM, TICKET, BUYER, PROOF, ADDRESS = (
    f"{TAG}{name}" for name in ("gate", "stream", "t:", "b:", "w:", "a:")
)
# As long as a packed click.
PAYLOAD = f'["{64 * "0"}",1,"buyer-12345@example.org","zh-hans","{64 * "0"}",""]'
REST = '", "status": "queued", "ahead": 0, "expected_wait": 1, "order": null, "reason": ""}'
SCRIPT = (Path(gate.__file__).parent / "scripts" / "admit.lua").read_text()
SHA = gate.connect().script_load(SCRIPT)


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    ticket_id = secrets.token_hex(32)
    said = gate.connect().evalsha(
        SHA,
        6,
        *(GATE, STREAM, TICKET + ticket_id, BUYER + ticket_id, PROOF, ADDRESS),
        *(ticket_id, 1, PAYLOAD, gate.OPEN_TICKETS, gate.REMEMBER, "0", "0", 0),
    )
    body = f'{{"ticket": "{ticket_id}{REST}'.encode()
    start_response(
        "202 Accepted" if said[0] == b"queued" else "500 Not Admitted",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]
