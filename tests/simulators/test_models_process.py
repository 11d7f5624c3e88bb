"""The language models' simulator as a process: options, start, stop, odd requests, waiting times."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from models_sim import PROVIDERS, ModelsSim
from simulator import ROOT

from simulators.models.run import main

MESSAGES = [{"role": "user", "content": "Question: Will it rain?"}]
CIRCLE = {"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}
CHAT = {"model": "gpt-5.5", "messages": MESSAGES}


@pytest.fixture
def start():
    started = []

    def begin(*arguments, **options):
        started.append(ModelsSim(*arguments, **options))
        return started[-1]

    yield begin
    for sim in started:
        sim.stop()


@pytest.fixture(scope="module")
def sim():
    started = ModelsSim()
    yield started
    started.stop()


def post(sim, path, body, provider="openai", **headers):
    key = sim.keys[provider]
    named = {"authorization": f"Bearer {key}", "x-goog-api-key": key, "anthropic-version": "2026-10-21", **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sim.client.post(path, content=content, headers=named)


def test_help_names_every_option_and_the_base_urls():
    done = subprocess.run(
        [sys.executable, "-m", "simulators.models", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=20
    )

    assert done.returncode == 0
    options = ("--port", "--clock", "--key", "--keys", "--models", "--anchors", "--latency-scale", "--faults")
    for word in (*options, "example", "/openai/v1", "synthetic"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clock", "sim:2014-05-02@fast"], ["expected", "found"]),
        (["--port", "70000"], ["--port"]),
        (["--key", "secret-key-only"], ["--key", "PROVIDER:KEY"]),
        (["--key", "grok:secret-key"], ["--key", "deepseek"]),
        (["--keys", "/nowhere.json"], ["--keys", "cannot read"]),
        (["--models", "/nowhere.json"], ["--models", "cannot read"]),
        (["--anchors", "/nowhere.json"], ["--anchors", "cannot read"]),
        (["--faults", "/nowhere.json"], ["cannot read"]),
        (["--latency-scale", "-1"], ["--latency-scale"]),
    ],
)
def test_misuse_is_one_line_and_code_two(capsys, arguments, words):
    code, printed = main(arguments), capsys.readouterr()

    assert (code, printed.out, len(printed.err.splitlines())) == (2, "", 1)
    assert all(word in printed.err for word in words)
    assert "secret-key" not in printed.err


@pytest.mark.parametrize(
    ("option", "content", "word"),
    [
        ("--faults", '[{"name": "x", "action": "slow", "seconds": "long"}]', "faults[0].seconds"),
        ("--keys", '{"openai": 3}', "openai"),
        ("--keys", '{"grok": "k"}', "keys out of"),
        ("--keys", "no json", "JSON object"),
        ("--models", '{"openai": []}', "list of ids"),
        ("--models", '{"openai": [{"id": "x"}]}', "input_usd"),
        ("--models", '{"openai": [{"id": "x", "input_usd": "much", "output_usd": 1}]}', "USD per million"),
        ("--anchors", '{"Will it?": 1}', "outcome"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_place(capsys, tmp_path, option, content, word):
    file = tmp_path / "file.json"
    file.write_text(content)

    code, printed = main([option, str(file)]), capsys.readouterr()

    assert (code, len(printed.err.splitlines())) == (2, 1)
    assert word in printed.err


def test_a_port_that_is_taken_is_code_one(sim, capsys):
    port = sim.url.rpartition(":")[2]

    assert main(["--port", port]) == 1
    assert port in capsys.readouterr().err


def test_termination_ends_hanging_requests_and_exits_with_zero(start):
    sim = start()
    sim.fault("hang")
    broken = []

    def ask():
        key = {"authorization": f"Bearer {sim.keys['openai']}"}
        with pytest.raises(httpx.TransportError) as caught:
            httpx.post(f"{sim.urls['openai']}/chat/completions", json=CHAT, headers=key, timeout=5)
        broken.append(caught.value)

    thread = threading.Thread(target=ask)
    thread.start()
    sim.until(lambda state: state["in_flight"] == 1)
    sim.process.terminate()
    thread.join()

    assert not isinstance(broken[0], httpx.TimeoutException)
    assert sim.process.wait(timeout=5) == 0


def test_keys_models_anchors_and_faults_come_from_files(start, tmp_path):
    files = {
        "--keys": {"openai": ["file-key-1", "file-key-2"], "gemini": "file-key-3"},
        "--models": {"openai": ["gpt-9", {"id": "gpt-10", "input_usd": "7", "output_usd": "70"}, "gpt-4-turbo"]},
        "--anchors": {"Will it rain?": 0.9},
        "--faults": [{"name": "first", "action": "overloaded", "times": 1}],
    }
    arguments = ["--key", "deepseek:line-key"]
    for option, content in files.items():
        file = tmp_path / f"{option.strip('-')}.json"
        file.write_text(json.dumps(content))
        arguments += [option, file]
    sim = start(*arguments)
    sim.keys |= {"openai": "file-key-2", "gemini": "file-key-3", "deepseek": "line-key"}

    path = "/openai/v1/chat/completions"
    replies = [
        post(sim, path, {**CHAT, "model": name}) for name in ("gpt-9", "gpt-9", "gpt-10", "gpt-4-turbo", "gpt-5.5")
    ]
    keys = [
        post(sim, "/deepseek/chat/completions", {**CHAT, "model": "deepseek-v4-pro"}, "deepseek"),
        post(
            sim,
            "/anthropic/v1/messages",
            {"model": "claude-opus-4-8", "max_tokens": 9, "messages": MESSAGES},
            "anthropic",
        ),
    ]

    assert [reply.status_code for reply in replies] == [503, 200, 200, 200, 404]
    assert [reply.status_code for reply in keys] == [200, 200]
    assert sim.requests("openai")[-2]["forecast"]["drawn_from"] == ["text", "anchor"]
    assert sim.client.get("/_sim/models").json()["openai"]["gpt-10"]["output_usd"] == "70"
    assert sim.fired("first") == 1
    assert "file-key" not in json.dumps(sim.requests())


def test_recorded_questions_are_known_by_their_frozen_prices(start):
    sim = start("--anchors", "recorded")
    asked = [{"role": "user", "content": json.dumps({"question": "Will the Fed cut-pause-pause in 2025?"})}]

    post(sim, "/openai/v1/chat/completions", {**CHAT, "messages": asked})

    assert sim.requests()[-1]["forecast"]["drawn_from"] == ["text", "anchor"]


def test_answers_are_the_same_after_a_restart_and_change_with_the_day(start):
    days = ["sim:2014-05-06T07:00:00Z@1", "sim:2014-05-06T20:00:00Z@1", "sim:2014-05-09T07:00:00Z@1"]
    asked = [[{"role": "user", "content": f"Question: Will number {n} win?"}] for n in range(12)]

    told = []
    for day in days:
        sim = start(clock=day)
        replies = [post(sim, "/openai/v1/chat/completions", {**CHAT, "messages": messages}) for messages in asked]
        told.append([reply.json()["choices"][0]["message"]["content"].split()[-1] for reply in replies])

    assert told[0] == told[1]
    assert told[0] != told[2]


def test_waiting_times_are_a_share_of_real_ones(start):
    sim = start(latency_scale=0.02)
    before = time.monotonic()

    reply = post(sim, "/anthropic/v1/messages", {**CHAT, "model": "claude-opus-4-8", "max_tokens": 900}, "anthropic")

    # a real one takes about 13 seconds
    assert reply.status_code == 200
    assert 0.05 < time.monotonic() - before < 2


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        {**CHAT, "messages": "hello"},
        {**CHAT, "messages": [3]},
        {**CHAT, "model": ["gpt-5.5"]},
        {**CHAT, "max_completion_tokens": "many"},
        {**CHAT, "max_completion_tokens": -3},
        {**CHAT, "response_format": "json"},
        {**CHAT, "response_format": {"type": "json_schema", "json_schema": {"schema": {"properties": ["p"]}}}},
        {**CHAT, "response_format": {"type": "json_schema", "json_schema": {"schema": CIRCLE}}},
        {**CHAT, "tool_choice": {"type": "function", "function": {"name": "absent"}}, "tools": []},
    ],
)
def test_odd_bodies_are_refused_and_the_server_goes_on(sim, body):
    reply = post(sim, "/openai/v1/chat/completions", body)

    assert reply.status_code in (400, 404)
    assert reply.json()["error"]["message"]
    assert post(sim, "/openai/v1/chat/completions", CHAT).status_code == 200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_odd_bodies_are_refused_by_every_vendor(sim, provider):
    path = {
        "anthropic": "/anthropic/v1/messages",
        "openai": "/openai/v1/responses",
        "gemini": "/gemini/v1/models/gemini-3.5-flash:generateContent",
        "deepseek": "/deepseek/chat/completions",
    }[provider]

    for body in ({}, b"nothing", {"model": 1, "max_tokens": 1, "messages": 2, "contents": 3, "input": 4}):
        assert post(sim, path, body, provider).status_code in (400, 404)


def test_paths_beside_the_apis_say_what_is_there(sim):
    outside, control = sim.client.get("/v1/models"), sim.client.get("/_sim/nothing")
    inside = [sim.client.get(f"/{provider}/v1/nothing") for provider in PROVIDERS]

    assert (outside.status_code, control.status_code) == (404, 404)
    assert "/anthropic/" in outside.json()["error"]["message"]
    assert "/_sim/state" in control.json()["errorMessage"]
    assert [reply.status_code for reply in inside] == [404] * 4


def test_a_request_without_a_key_is_refused(sim):
    replies = [
        sim.client.post("/anthropic/v1/messages", json={}),
        sim.client.post("/openai/v1/chat/completions", json=CHAT),
        sim.client.post("/gemini/v1/models/gemini-3.5-flash:generateContent", json={}),
        sim.client.post("/deepseek/chat/completions", json=CHAT),
    ]

    assert [reply.status_code for reply in replies] == [401, 401, 403, 401]


def test_both_of_anthropics_headers_carry_the_key(sim):
    body = {"model": "claude-opus-4-8", "max_tokens": 900, "messages": MESSAGES}
    headers = {"x-api-key": sim.keys["anthropic"], "anthropic-version": "2023-06-01"}

    assert sim.client.post("/anthropic/v1/messages", json=body, headers=headers).status_code == 200
    del headers["anthropic-version"]
    reply = sim.client.post("/anthropic/v1/messages", json=body, headers=headers)
    assert (reply.status_code, "anthropic-version" in reply.text) == (400, True)


def test_state_adds_up(sim):
    post(sim, "/openai/v1/chat/completions", CHAT)

    state = sim.state()
    books = state["providers"].values()
    for key in ("paid_calls", "tokens_in", "tokens_out"):
        assert state[key] == sum(book[key] for book in books)
        assert all(book[key] == sum(model[key] for model in book["models"].values()) for book in books)
    assert (state["label"], state["in_flight"]) == ("synthetic forecast", 0)
    assert sum(float(book["cost_usd"]) for book in books) == pytest.approx(float(state["cost_usd"]))


def test_the_process_stays_small(sim):
    lines = Path(f"/proc/{sim.process.pid}/status").read_text().splitlines()
    kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    assert kibibytes < 60_000
