"""A server that answers a model call with whatever bytes a test hands it, for what no honest simulator would send."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {
    "anthropic": {"usage": {"input_tokens": 800, "output_tokens": 20}},
    "openai": {"usage": {"prompt_tokens": 800, "completion_tokens": 20, "total_tokens": 820}},
    "deepseek": {"usage": {"prompt_tokens": 800, "completion_tokens": 20, "total_tokens": 820}},
    "gemini": {"usageMetadata": {"promptTokenCount": 800, "candidatesTokenCount": 5, "thoughtsTokenCount": 15}},
}


def saying(provider, text, *, end=None, usage=True):
    """Return the body with which a vendor says ``text``."""
    if provider == "anthropic":
        block = [{"type": "text", "text": text}]
        body = {"id": "m", "type": "message", "role": "assistant", "model": "served", "content": block}
        body["stop_reason"] = end or "end_turn"
    elif provider == "gemini":
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": end or "STOP"}
        body = {"candidates": [candidate], "modelVersion": "served"}
    else:
        choice = {"index": 0, "finish_reason": end or "stop", "message": {"role": "assistant", "content": text}}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "served", "choices": [choice]}
    return body | (USAGE[provider] if usage else {})


class Stub:
    """``script`` is called with each request's path and writes its answer through the handler it is handed."""

    def __init__(self, script):
        self.script = script
        self.paths = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                stub.paths.append(self.path)
                self.close_connection = True
                try:
                    stub.script(self)
                except OSError:
                    pass  # the caller gave up

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.urls = dict.fromkeys(USAGE, self.url) | {"openai": self.url + "/v1"}
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@contextmanager
def serving(script):
    stub = Stub(script)
    try:
        yield stub
    finally:
        stub.server.shutdown()
        stub.server.server_close()


def send(handler, status, body, kind="application/json", headers=None):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("content-type", kind)
    handler.send_header("content-length", str(len(raw)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)
