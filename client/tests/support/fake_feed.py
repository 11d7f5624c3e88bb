"""A feed server for tests that follows docs/feed.md: real lines, real hash chain, real HTTP on 127.0.0.1.

It keeps every byte a client sends, answers from a script when told to, and judges reports the way the feed does.
"""

import json
import re
import threading
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TOKEN = "tbs_abcdefgh_0123456789abcdefghijklmnopqrstuv_123456"
GENESIS = "0" * 64
ULIDS = (f"01ARZ3NDEKTSV4RRFFQ69G{n:04d}" for n in range(1, 10_000))


def iso(moment):
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class SigningKey:
    """A key pair as a surface holds it; ``entry`` is its place in the public file."""

    def __init__(self, surface="fx", from_="2000-01-01T00:00:00.000000Z", endorser=None, seed=None):
        self.private = Ed25519PrivateKey.from_private_bytes(seed) if seed else Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes_raw()
        self.id, public = sha256(raw).hexdigest()[:16], b64encode(raw).decode()
        self.entry = {
            "key": self.id, "surface": surface, "public": public, "from": from_, "until": None, "by": None,
            "endorsement": None,
        }  # fmt: skip
        if endorser is not None:
            text = f"tbot-key:1:{self.id}:{surface}:{public}:{from_}".encode()
            self.entry |= {"by": endorser.id, "endorsement": b64encode(endorser.private.sign(text)).decode()}

    def sign(self, h):
        return self.sign_text(f"tbot-line:1:{h}".encode())

    def sign_text(self, text):
        return f"{self.id}:{b64encode(self.private.sign(text)).decode()}"


class FakeFeed:
    """What the publisher wrote, and what this subscriber reported back."""

    def __init__(self):
        self.lines = []  # (log, seq, h, record, raw bytes) in the order of delivery
        self.heads = {}
        self.key = SigningKey()
        self.keys = [self.key.entry]
        self.expired = set()
        self.script = []  # (path part, status, headers, body) answered once each, first match first
        self.reports = []  # (signal_id, stage, body, status)
        self.wire = bytearray()  # every byte that arrived
        self.polls = []
        self.now = lambda: datetime.now(UTC)
        self.fill_ids = {}
        self.changed = threading.Condition()
        self.is_closing = False
        self.let_go = 0  # how often all who waited were answered although nothing was new
        feed = self

        class Handler(_Handler):
            pass

        Handler.feed = feed
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        with self.changed:
            self.is_closing = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def answer_waiting(self):
        """Answer every poll that waits now; a client that ends must not cost its test the rest of a wait."""
        with self.changed:
            self.let_go += 1
            self.changed.notify_all()

    def write(self, log, **fields):
        """Append a line to a log and wake whoever waits; return its record."""
        with self.changed:
            seq, prev = self.heads.get(log, (0, GENESIS))
            record = {"ts": iso(self.now()), "v": 1, "log": log, "seq": seq + 1, **fields, "prev": prev}
            unsealed = json.dumps(record, separators=(",", ":"))[:-1]
            h = sha256(unsealed.encode()).hexdigest()
            self.heads[log] = (seq + 1, h)
            sig = "" if self.key is None else f',"sig":"{self.key.sign(h)}"'
            self.lines.append([log, seq + 1, h, record, f'{unsealed},"h":"{h}"{sig}}}'.encode()])
            self.changed.notify_all()
        return record

    def rotate(self):
        """Put a new key in force, vouched for by the old one."""
        at, old = iso(self.now()), self.key
        old.entry["until"] = at
        self.key = SigningKey(from_=at, endorser=old)
        self.keys.append(self.key.entry)

    def open(self, **fields):
        """Publish an open with sensible values; return its signal id."""
        signal_id = f"sig_{next(ULIDS)}"
        now = self.now()
        values = {
            "id": signal_id, "kind": "signal", "surface": "fx", "mode": "paper", "signal_id": signal_id,
            "market": "EUR_USD", "side": "buy", "strategy": "bot", "sub_strategy": "trend", "thesis": "t",
            "reference_price": "1.10000", "stop_loss": "1.09500", "take_profit": "1.11000", "trailing_distance": None,
            "quantity": "1000", "quote_currency": "USD", "edge_bp": "12.5", "confidence": "0.6", "eta_hours": "4",
            "decision_id": "dec_x", "opened_at": iso(now), "published_at": iso(now),
            "expires_at": iso(now + timedelta(seconds=600)), "action": "open",
        }  # fmt: skip
        self.write("fx/signals", **(values | fields))
        return signal_id

    def amend(self, signal_id, **fields):
        values = {
            "id": f"amd_{next(ULIDS)}", "kind": "signal", "surface": "fx", "mode": "paper", "signal_id": signal_id,
            "market": "EUR_USD", "stop_loss": "1.09800", "take_profit": "1.11500", "trailing_distance": None,
            "reason": "breakeven", "published_at": iso(self.now()), "action": "amend",
        }  # fmt: skip
        self.write("fx/signals", **(values | fields))

    def end(self, signal_id, **fields):
        values = {
            "id": f"cls_{next(ULIDS)}", "kind": "signal", "surface": "fx", "mode": "paper", "signal_id": signal_id,
            "market": "EUR_USD", "side": "buy", "exit_price": "1.10400", "reason": "time",
            "closed_at": iso(self.now()), "published_at": iso(self.now()), "action": "close",
        }  # fmt: skip
        self.write("fx/resolutions", **(values | fields))

    def bodies(self, signal_id, stage=None):
        """Return the reports of a signal that were stored, in order."""
        return [body for sid, st, body, status in self.reports if sid == signal_id and stage in (None, st)]

    def stages(self, signal_id):
        return [stage for sid, stage, _, status in self.reports if sid == signal_id and status in (201, 202)]

    def answer_once(self, part, status, body=b"{}", headers=None):
        self.script.append((part, status, headers or {}, body))

    def page(self, start, limit, surfaces):
        end = min(len(self.lines), start + limit)
        chosen = [line for line in self.lines[start:end] if not surfaces or line[0].split("/")[0] in surfaces]
        cursor = self.cursor(end, surfaces)
        return self._answer(chosen, {"next_cursor": cursor, "has_more": end < len(self.lines), "poll_after_ms": 0})

    def begin(self, start):
        """Return the cursor of a start: its first line, the end, or the first line not before a moment."""
        places = {"oldest": 0, "head": len(self.lines)}
        later = (at for at, line in enumerate(self.lines) if line[3]["ts"] >= start)
        return f"c{places[start] if start in places else next(later, len(self.lines))}"

    @staticmethod
    def cursor(place, surfaces):
        """A cursor holds for its place and its filter, as the feed's own do."""
        return f"c{place}" + "".join(f".{surface}" for surface in sorted(surfaces))

    def snapshot(self, surfaces):
        ended = {line[3]["signal_id"] for line in self.lines if line[3].get("action") == "close"}
        opens = [line for line in self.lines if line[3].get("action") == "open" and line[3]["signal_id"] not in ended]
        chosen = []
        for line in opens:
            amends = [
                x for x in self.lines if x[3].get("action") == "amend" and x[3]["signal_id"] == line[3]["signal_id"]
            ]
            chosen += [line, *amends[-1:]]
        chosen = [line for line in chosen if not surfaces or line[0].split("/")[0] in surfaces]
        return self._answer(chosen, {"cursor": self.cursor(len(self.lines), surfaces)})

    def _answer(self, chosen, rest):
        """Put raw lines into the page byte for byte."""
        expired = [
            x[3]["signal_id"] for x in chosen
            if x[3].get("action") == "open"
            and (x[3]["signal_id"] in self.expired or x[3]["expires_at"] < iso(self.now()))
        ]  # fmt: skip
        rest |= {"expired": expired, "server_time": iso(self.now())}
        rest["logs"] = {log: {"seq": seq, "h": h, "sig": self.head_sig(h)} for log, (seq, h) in self.heads.items()}
        return b'{"items":[' + b",".join(line[4] for line in chosen) + b"]," + json.dumps(rest).encode()[1:]

    def head_sig(self, h):
        return None if self.key is None else self.key.sign(h)

    def judge(self, signal_id, stage, raw):
        """Answer a report by the table of docs/feed.md."""
        status, answer = self._judged(signal_id, stage, json.loads(raw))
        return status, answer | ({"signal_id": signal_id, "stage": stage} if status < 300 else {})

    def _judged(self, signal_id, stage, body):
        if all(line[3].get("signal_id") != signal_id for line in self.lines):
            return 404, {"code": "unknown"}
        key = (stage, body["rev"], body.get("fill_id"))
        mine = [(st, b, s) for sid, st, b, s in self.reports if sid == signal_id]
        for st, earlier, _ in mine:
            if (st, earlier["rev"], earlier.get("fill_id")) == key:
                return (
                    (200, {"duplicate": True})
                    if earlier == body
                    else (409, {"code": "conflict", "existing_sha256": ""})
                )
        if stage == "resolved" and all(st != "executed" for st, _, _ in mine):
            self.reports.append((signal_id, stage, body, 202))
            return 202, {}
        self.reports.append((signal_id, stage, body, 201))
        return 201, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer: headers and body apart would wait for each other's acknowledgement, 40 ms a request.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    feed = None

    def log_message(self, *args):
        pass

    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        self._keep(b"")
        if self._scripted(url.path) or not self._allowed():
            return
        with self.feed.changed:
            if url.path == "/api/signals/open":
                return self._send(200, self.feed.snapshot(query.get("surface", [])))
            if url.path == "/api/keys":
                return self._send(200, json.dumps({"keys": self.feed.keys}).encode())
            if url.path == "/api/head":
                return self._send(200, self.feed._answer([], {}))
            self._feed(query)

    def _feed(self, query):
        feed = self.feed
        feed.polls.append(query)
        feed.changed.notify_all()
        cursor = query.get("cursor", [None])[0]
        if cursor is None:
            cursor = feed.begin(query["start"][0])
        found = re.fullmatch(r"c(\d+)([.a-z]*)", cursor)
        surfaces = query.get("surface", [])
        if not found:
            return self._send(400, b'{"code":"cursor_invalid"}')
        start = int(found[1])
        if cursor != feed.cursor(start, surfaces) and "cursor" in query:
            return self._send(400, b'{"code":"cursor_filter"}')
        if start > len(feed.lines):
            return self._send(410, b'{"code":"cursor_ahead","oldest_cursor":"c0","head_cursor":"c0"}')
        before = feed.let_go
        is_due = lambda: len(feed.lines) > start or feed.is_closing or feed.let_go > before  # noqa: E731  asked again and again
        feed.changed.wait_for(is_due, timeout=int(query["wait"][0]))
        self._send(200, feed.page(start, int(query["limit"][0]), surfaces))

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self._keep(raw)
        if self._scripted(self.path) or not self._allowed():
            return
        found = re.fullmatch(r"/api/signals/(sig_[0-9A-Z]{26})/(ack|executed|resolved)", self.path)
        with self.feed.changed:
            status, answer = self.feed.judge(found[1], found[2], raw) if found else (422, {})
            self.feed.changed.notify_all()
        self._send(status, json.dumps(answer).encode())

    def _keep(self, body):
        self.feed.wire += f"{self.requestline}\n{self.headers}\n".encode() + body

    def _allowed(self):
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._send(401, b'{"code":"token"}')
        return False

    def _scripted(self, path):
        for entry in self.feed.script:
            part, status, headers, body = entry
            if part in path:
                self.feed.script.remove(entry)
                self._send(status, body, headers)
                return True
        return False

    def _send(self, status, body, headers=None):
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if "Content-Length" not in (headers or {}):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass
