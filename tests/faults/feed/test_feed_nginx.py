"""A real nginx in front of the feed: buffering, as documented, and impatient."""

import ipaddress
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
EXAMPLE = Path(__file__).resolve().parents[3] / "docs/nginx.conf.example"
FEED = "/api/signals/feed"
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")

MAIN = """
{user}
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {inside}
}}
"""
PLAIN = """
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{feed};
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        {more}
    }}
}}
"""


class Proxy:
    """nginx on a free port, without privileges; ``verify`` is what trusts its certificate."""

    def __init__(self, folder: Path, inside: str, port: int) -> None:
        folder.mkdir()
        user = "user root;" if os.geteuid() == 0 else ""  # or its worker could not enter a test's own folder
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, inside=inside, user=user))
        self.url, self.verify = f"http://127.0.0.1:{port}", True
        self.folder, self.port = folder, port
        command = [str(NGINX), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def is_up(self) -> bool:
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        try:
            return self.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, token: str = "", source: str = "127.0.0.1", **headers: str) -> httpx.Response:
        with self.client(token, source) as client:
            return client.get(path, headers=headers)

    def client(self, token: str = "", source: str = "127.0.0.1") -> httpx.Client:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx.HTTPTransport(local_address=source, verify=self.verify)
        return httpx.Client(base_url=self.url, headers=headers, transport=transport, timeout=30)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class Proxies:
    def __init__(self, folder: Path, free_port: Callable[[], int], wait_until: Any) -> None:
        self.folder, self.free_port, self.wait_until = folder, free_port, wait_until
        self.running: list[Proxy] = []

    def plain(self, feed: Any, more: str) -> Proxy:
        port = self.free_port()
        return self._start(
            Proxy(self.folder / f"nginx{port}", PLAIN.format(port=port, feed=feed.port, more=more), port)
        )

    def documented(self, feed: Any) -> Proxy:
        """The example of the documentation, word for word but for ports and certificate."""
        port, certificate = self.free_port(), self.folder / "feed.pem"
        make_certificate(certificate)
        inside = EXAMPLE.read_text()
        for old, new in (
            ("127.0.0.1:8700", f"127.0.0.1:{feed.port}"), ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("/etc/nginx/feed.pem", str(certificate)), ("/etc/nginx/feed.key", str(certificate)),
        ):  # fmt: skip
            assert inside.count(old) == 1, old
            inside = inside.replace(old, new)
        made = Proxy(self.folder / f"nginx{port}", inside, port)
        made.url, made.verify = f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=str(certificate))
        return self._start(made)

    def _start(self, made: Proxy) -> Proxy:
        self.running.append(made)
        self.wait_until("nginx", made.is_up)
        return made


def make_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "feed")]), datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(pem))


@pytest.fixture
def proxies(tmp_path: Path, free_port: Callable[[], int], wait_until: Any) -> Iterator[Proxies]:
    made = Proxies(tmp_path, free_port, wait_until)
    yield made
    for proxy in made.running:
        proxy.end()


def start(proxies: Proxies, feed: Any, kind: str) -> Proxy:
    return proxies.documented(feed) if kind == "as documented" else proxies.plain(feed, "proxy_buffering on;")


KINDS = pytest.mark.parametrize("kind", ["buffering", "as documented"])


@KINDS
@pytest.mark.proves("F1", "F4", "F6")
def test_what_comes_through_nginx_is_whole_and_the_very_same(
    stage: Any, proxies: Proxies, kind: str, dose: Any
) -> None:
    publisher, token, waiting = stage.publisher(), stage.token(), dose(10, 50)
    for _ in range(300):
        publisher.open(thesis="t" * 2_000)
    feed = stage.feed()
    proxy = start(proxies, feed, kind)
    page = f"{FEED}?start=oldest&wait=0&limit=500"

    direct = httpx.get(feed.url + page, headers={"authorization": f"Bearer {token}"}).json()
    through = proxy.get(page, token).json()
    cursor = through["next_cursor"]
    with ThreadPoolExecutor(waiting) as pool:
        polls = [pool.submit(proxy.get, f"{FEED}?cursor={cursor}&wait=20", token) for _ in range(waiting)]
        signal_id = publisher.open()
        woken = [poll.result() for poll in polls]

    assert through["items"] == direct["items"]
    assert len(through["items"]) == 300
    assert [[item["id"] for item in one.json()["items"]] for one in woken] == [[signal_id]] * waiting


@KINDS
@pytest.mark.proves("F1")
def test_an_event_of_the_stream_is_not_held_back(stage: Any, proxies: Proxies, kind: str) -> None:
    publisher, token = stage.publisher(), stage.token()
    feed = stage.feed()
    proxy = start(proxies, feed, kind)
    took: list[float] = []

    with proxy.client(token) as client, client.stream("GET", "/api/signals/stream?start=head") as stream:
        lines = stream.iter_lines()
        assert any(line.startswith("id:") for line in lines)  # the first word comes at once
        for _ in range(5):
            begun = time.monotonic()
            signal_id = publisher.open()
            assert any(signal_id in line for line in lines)
            took.append(time.monotonic() - begun)

    print(f"{kind}: an event took {max(took) * 1e3:.0f} ms at most")
    assert stream.status_code == 200
    assert max(took) < 2


@pytest.mark.proves("F1", "F2", "F3")
def test_a_proxy_that_cuts_polls_costs_no_signal(stage: Any, proxies: Proxies, dose: Any) -> None:
    publisher, token, wanted = stage.publisher(), stage.token(), dose(6, 60)
    feed = stage.feed()
    proxy = proxies.plain(feed, "proxy_read_timeout 300ms;")
    published: list[str] = []

    def publish() -> None:
        for _ in range(wanted):
            time.sleep(0.18)
            published.append(publisher.open())
            time.sleep(0.24 if len(published) % 2 else 0)  # now and then longer than the proxy waits

    cut, seen, params = 0, [], "start=oldest"
    thread = threading.Thread(target=publish)
    with proxy.client(token) as client:
        thread.start()
        while len(seen) < wanted:
            answer = client.get(f"{FEED}?{params}&wait=20")
            if answer.status_code == 504:
                cut += 1
                continue
            seen += [item["id"] for item in answer.json()["items"]]
            params = f"cursor={answer.json()['next_cursor']}"
    thread.join()

    assert cut > 0
    assert seen == published


@pytest.mark.proves("row 32")
@pytest.mark.parametrize("kind", ["trusted", "not trusted"])
def test_nobody_gets_another_address_by_saying_so(stage: Any, proxies: Proxies, kind: str) -> None:
    trusted = {"FEED_TRUSTED_PROXIES": "127.0.0.1"} if kind == "trusted" else {}
    feed = stage.feed(FEED_WRONG_TOKENS="3", **trusted)
    proxy = proxies.plain(feed, "")
    wrong = "tbs_00000000_00000000000000000000000000000000_000000"

    def tries(source: str, number: int, base: str = "") -> list[int]:
        transport = httpx.HTTPTransport(local_address=source)
        with httpx.Client(base_url=base or proxy.url, transport=transport) as client:
            headers = [{"authorization": f"Bearer {wrong}", "x-forwarded-for": f"10.0.0.{n}"} for n in range(number)]
            return [client.get("/api/head", headers=one).status_code for one in headers]

    through, bystander = tries("127.0.0.2", 6), tries("127.0.0.3", 1)
    direct = tries("127.0.0.4", 6, feed.url)

    assert through[0] == 401
    assert through[-1] == 429  # each try named another address
    assert bystander == ([401] if kind == "trusted" else [429])  # nginx is one address for all, unless it is believed
    assert direct[-1] == 429


def test_the_example_names_every_route_limit_of_the_feed() -> None:
    text = EXAMPLE.read_text()

    assert int(re.search(r"proxy_read_timeout (\d+)s", text)[1]) > 57
    assert "proxy_buffering off" in text
