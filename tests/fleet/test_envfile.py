"""Env files: private, plain, and never quoted back."""

import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Misconfigured
from fleet.envfile import ALLOWED, clean_environment, read_env_file, write_env_file

CANARY = "s3cr3t-canary"
KEYS = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)


@pytest.fixture
def env_file(tmp_path):
    """Write bytes as an env file of mode 600 and return its path."""

    def write(content, mode=0o600):
        path = tmp_path / "fx.env"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return write


def refusal(path):
    with pytest.raises(Misconfigured) as caught:
        read_env_file(path)
    assert caught.value.exit_code == 78
    assert CANARY not in f"{caught.value} {caught.value.__cause__}"
    return str(caught.value)


def test_lines_are_keys_and_everything_after_the_first_equals_sign(env_file):
    path = env_file(b"# a comment\n\n   \nFX_MODE=paper\n  # indented\nTOKEN=a=b #c\nEMPTY=\nNAME=\xc3\xa9 'x'\nLAST=1")

    values = read_env_file(path)

    assert values == {"FX_MODE": "paper", "TOKEN": "a=b #c", "EMPTY": "", "NAME": "é 'x'", "LAST": "1"}


def test_an_empty_file_holds_no_settings(env_file):
    assert read_env_file(env_file(b"")) == {}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602, 0o610, 0o777])
def test_a_file_that_others_can_read_write_or_run_is_refused(env_file, mode):
    path = env_file(f"TOKEN={CANARY}\n".encode(), mode)

    assert f"mode {mode:o}; run chmod 600 {path}" in refusal(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_for_its_owner_alone_is_accepted(env_file, mode):
    assert read_env_file(env_file(b"A=1\n", mode)) == {"A": "1"}


def test_a_missing_file_is_refused_with_the_way_to_make_one(tmp_path):
    found = refusal(tmp_path / "fx.env")

    assert f"the env file {tmp_path / 'fx.env'}; found no such file; copy fx.env.example to fx.env" in found


def test_a_link_is_refused_even_to_a_good_file(env_file, tmp_path):
    link = tmp_path / "link.env"
    link.symlink_to(env_file(f"TOKEN={CANARY}\n".encode()))

    assert "to be a plain file" in refusal(link)


def test_a_directory_is_no_env_file(tmp_path):
    (tmp_path / "fx.env").mkdir(mode=0o700)

    assert "to be a plain file" in refusal(tmp_path / "fx.env")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(env_file):
    path = env_file(f"TOKEN={CANARY}\n".encode())
    os.chown(path, 12345, -1)

    assert "found uid 12345; chown" in refusal(path)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"TOKEN=" + CANARY.encode() + b"\r", "CR LF in line 2"),
        (b"\r", "CR LF in line 2"),
        (b'TOKEN="' + CANARY.encode() + b'"', "a quoted one in line 2"),
        (b"TOKEN='" + CANARY.encode() + b"'", "a quoted one in line 2"),
        (b'TOKEN=""', "a quoted one in line 2"),
        (b"FIRST=" + CANARY.encode(), "FIRST again in line 2"),
        (b"token=" + CANARY.encode(), "something else in line 2"),
        (b"export TOKEN=" + CANARY.encode(), "something else in line 2"),
        (b"TOKEN =" + CANARY.encode(), "something else in line 2"),
        (b" TOKEN=" + CANARY.encode(), "something else in line 2"),
        (b"1TOKEN=" + CANARY.encode(), "something else in line 2"),
        (b"=" + CANARY.encode(), "something else in line 2"),
        (CANARY.encode(), "something else in line 2"),
        (b"TOKEN=" + CANARY.encode() + b"\xff", "other bytes in line 2"),
        (b"TOKEN=" + CANARY.encode() + b"\0", "a NUL byte in line 2"),
    ],
)
def test_a_line_of_another_form_is_refused_by_number_and_never_shown(env_file, line, problem):
    path = env_file(b"FIRST=1\n" + line + b"\nLAST=2\n")

    assert f"{problem} of {path}" in refusal(path)


@given(st.dictionaries(KEYS, st.text().filter(lambda text: "\n" not in text)))
def test_what_is_written_reads_back_the_same_or_is_refused(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "property.env"

    try:
        write_env_file(path, values)
    except (Misconfigured, UnicodeEncodeError):
        return

    assert read_env_file(path) == values


def test_a_written_file_has_mode_600_whatever_the_umask_and_what_stood_there(tmp_path):
    path = tmp_path / "env" / "fx.env"
    before = os.umask(0)
    try:
        write_env_file(path, {"A": "1"})
        (tmp_path / "env" / "fx.new").touch(mode=0o666)
        path.chmod(0o666)
        write_env_file(path, {"A": "2"})
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_env_file(path) == {"A": "2"}
    assert [item.name for item in path.parent.iterdir()] == ["fx.env"]


@pytest.mark.parametrize(
    "values",
    [
        {"A": "1", "B": f"{CANARY}\nINJECTED=1"},
        {"A": "1", "B": f"{CANARY}\r"},
        {"A": "1", "B": f'"{CANARY}"'},
        {"A": "1", "B": f"{CANARY}\0"},
        {"A": "1", "b": CANARY},
        {"A": "1", "#B": CANARY},
        {"A": "1", "B=C": CANARY},
    ],
)
def test_a_value_that_would_not_read_back_is_not_written_and_not_shown(tmp_path, values):
    path = tmp_path / "fx.env"
    write_env_file(path, {"A": "old"})

    with pytest.raises(Misconfigured) as caught:
        write_env_file(path, values)

    assert "line 2" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert read_env_file(path) == {"A": "old"}


def test_a_reader_sees_the_old_file_or_the_new_one_and_nothing_between(tmp_path):
    path = tmp_path / "fx.env"
    files = [{"A": str(n), "B": str(n) * 5000} for n in range(2)]
    write_env_file(path, files[0])
    done = threading.Event()
    seen = []

    def read():
        while not done.is_set():
            seen.append(read_env_file(path))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(200):
        write_env_file(path, files[n % 2])
    done.set()
    reader.join()

    assert seen
    assert all(values in files for values in seen)


def test_a_process_inherits_the_allow_list_and_its_own_file_and_nothing_else():
    inherited = {key: f"inherited-{key}" for key in ALLOWED}
    foreign = {"AWS_SECRET": CANARY, "LD_PRELOAD": "x.so", "PYTHONPATH": "/x", "OANDA_TOKEN": CANARY, "path": "lower"}

    environment = clean_environment(inherited | foreign, {"FX_MODE": "paper", "TZ": "UTC"})

    assert environment == inherited | {"FX_MODE": "paper", "TZ": "UTC"}


def test_the_allow_list_names_no_secret_and_nothing_that_loads_code():
    assert set(ALLOWED) == {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TBOT_HOME", "TBOT_CLOCK"}
