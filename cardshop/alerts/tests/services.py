"""Services on a real port of this machine that answer as their documentation says, or are broken."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

TOKEN, DEVICE, ROBOT = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "YxKk9DeviceKey", "693axxx6-7aoc-4bc4"
HOOK_SECRET = "a secret of both"


class Services:
    """Telegram, Bark and WeCom at one address, each at its own path, and hooks of one's own.

    `heard` lists path, headers and body of every call. `/hang` never answers, `/away` redirects into this
    machine, `/broken` answers 500, `/endless` goes on for ever.
    """

    def __init__(self):
        self.heard = []
        self.mood = ""  # how the services feel
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                services.heard.append((self.path, dict(self.headers), body))
                services.answer(self, body)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, call, body):
        parts = urlsplit(call.path)
        if parts.path == "/hang":
            time.sleep(1.0)
            call.close_connection = True
        elif parts.path == "/away":
            call.send_response(302)
            call.send_header("Location", f"{self.url}/hook")
            call.send_header("Content-Length", "0")
            call.end_headers()
        elif parts.path == "/broken":
            self.say(call, 500, b"<html>Internal Server Error</html>")
        elif parts.path == "/endless":
            self.go_on(call)
        elif parts.path.endswith("/sendMessage"):
            self.say(call, *self.telegram(parts.path, json.loads(body)))
        elif parts.path == "/push":
            self.say(call, *self.bark(json.loads(body)))
        elif parts.path == "/cgi-bin/webhook/send":
            self.say(call, *self.wecom(parse_qs(parts.query), json.loads(body)))
        else:
            self.say(call, 204, b"")

    def telegram(self, path, said):
        if path != f"/bot{TOKEN}/sendMessage":
            return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
        if said["chat_id"] != "-1001":
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
        if self.mood == "busy":
            parameters = {"retry_after": 5}
            description = "Too Many Requests: retry after 5"
            return 429, {
                "ok": False,
                "error_code": 429,
                "description": description,
                "parameters": parameters,
            }
        return 200, {"ok": True, "result": {"message_id": 1, "date": 1, "text": said["text"]}}

    def bark(self, said):
        if said.get("device_key") != DEVICE:
            # The server's own HTTP status is 400; proxies in front of it were seen to make a 200 of it.
            return 200, {
                "code": 400,
                "message": "failed to get device token: failed to get [] device token from database",
            }
        return 200, {"code": 200, "message": "success", "timestamp": 1767225600}

    def wecom(self, query, said):
        if query.get("key") != [ROBOT]:
            return 200, {"errcode": 93000, "errmsg": "invalid webhook url, hint: [1767225600_1_abc]"}
        if len(said["text"]["content"].encode()) > 2048:
            return 200, {"errcode": 40058, "errmsg": "text.content exceed max length 2048"}
        if self.mood == "busy":
            return 200, {"errcode": 45009, "errmsg": "api freq out of limit"}
        return 200, {"errcode": 0, "errmsg": "ok"}

    def say(self, call, status, said):
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        call.send_response(status)
        call.send_header("Content-Length", str(len(body)))
        call.end_headers()
        call.wfile.write(body)

    def go_on(self, call):
        call.send_response(200)
        call.send_header("Transfer-Encoding", "chunked")
        call.end_headers()
        call.close_connection = True
        try:
            while True:
                call.wfile.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        except OSError:
            pass  # the caller has had enough
