"""A link that fails: an HTTP proxy on 127.0.0.1 between a client and its feed, with faults drawn from a seed.

It imports nothing but the standard library, so that it can stand before any feed.
"""

import http.client
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = (
    "drop before",  # the request never arrives
    "drop after",  # it arrives, the answer does not
    "twice",  # the request arrives twice
    "stale",  # the answer is that of an earlier request
    "delay",
    "cut",  # the connection ends in the middle of the answer
    "short length",  # Content-Length is less than the body
    "long length",  # and more
    "502",
    "524",
    "wrong json",
    "no json",
    "redirect",
    "portal",  # a page of somebody else, with status 200
)


class FlakyLink:
    """Forwards to ``upstream``; every request suffers a fault with the probability ``rate``."""

    def __init__(self, upstream, rate, seed):
        self.upstream = urlsplit(upstream)
        self.rate = rate
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.happened = Counter()
        self.polls = 0
        self.answers = {}
        link = self

        class Handler(_Handler):
            pass

        Handler.link = link
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def draw(self, path):
        with self.lock:
            self.polls += path.startswith("/api/signals/feed")
            fault = self.random.choice(FAULTS) if self.random.random() < self.rate else ""
            self.happened[fault] += 1
            return fault

    def forward(self, method, path, headers, body):
        connection = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=70)
        try:
            kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "connection")}
            connection.request(method, path, body, kept)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    link = None

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._pass_on(None)

    def do_POST(self):
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, body):
        fault = self.link.draw(self.path)
        if fault == "drop before":
            return self._hang_up()
        if fault == "delay":
            time.sleep(0.05)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
        for _ in range(2 if fault == "twice" and body is not None else 1):
            try:
                status, told, answer = self.link.forward(self.command, self.path, headers, body)
            except OSError:
                return self._hang_up()
        earlier = self.link.answers.get(self.command)
        self.link.answers[self.command] = (status, told, answer)
        if fault == "stale" and earlier:
            status, told, answer = earlier
        self._answer(fault, status, told, answer)

    def _answer(self, fault, status, told, answer):
        whole = {
            "502": (502, b"<html><h1>502 Bad Gateway</h1></html>"),
            "524": (524, b"error code: 524"),
            "wrong json": (200, b'{"foo":[1,2,3],"items":"none"}'),
            "no json": (200, answer[: len(answer) // 2] + b"\x00"),
            "redirect": (302, b""),
            "portal": (200, b"<html>Welcome to our network. Please accept the terms.</html>"),
        }
        if fault == "drop after":
            return self._hang_up()
        if fault in whole:
            status, answer = whole[fault]
            told = {"Location": self.link.url + "/elsewhere"} if fault == "redirect" else {}
        length = len(answer) + {"short length": -3, "long length": 7}.get(fault, 0)
        try:
            self.send_response(status)
            for name, value in told.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(max(0, length)))
            self.end_headers()
            self.wfile.write(answer[: len(answer) // 2] if fault == "cut" else answer)
            self.wfile.flush()
        except OSError:
            pass
        if fault in ("cut", "short length", "long length"):
            self._hang_up()

    def _hang_up(self):
        self.close_connection = True
