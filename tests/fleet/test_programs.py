"""The table of programs and what supervisord is told agree."""

import configparser
import shlex
import sys
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from domain.errors import Misconfigured, Refuse
from fleet.programs import FLEET, program
from fleet.supervision import SHIPPED, write_config

CLOCK = "sim:2014-05-02T12:20:00Z@120,anchor=1000.5"
SHIPPED_PROGRAMS = [item.name for item in FLEET if not item.demo_only]
DEMO_PROGRAMS = [item.name for item in FLEET if item.demo_only]


@pytest.fixture(scope="module")
def shipped():
    parser = configparser.RawConfigParser()
    parser.read(SHIPPED)
    return parser


def accepted(path):
    """Return program -> configuration as supervisord itself reads the file; it exits on a file it refuses."""
    options = ServerOptions()
    options.realize(["-n", "-c", str(path)])
    return {group.name: group.process_configs[0] for group in options.process_group_configs}, options


def test_supervisord_starts_every_program_that_is_not_of_the_demo_and_nothing_else(shipped):
    sections = [s.removeprefix("program:") for s in shipped.sections() if s.startswith("program:")]

    assert sorted(sections) == sorted(SHIPPED_PROGRAMS)


@pytest.mark.parametrize("name", SHIPPED_PROGRAMS)
def test_every_program_is_started_through_the_launcher(shipped, name):
    section = shipped[f"program:{name}"]

    assert section["command"] == f'"%(here)s/.venv/bin/python" -m fleet.launch {name}'
    assert section["stdout_logfile"] == f"%(here)s/logs/{name}.log"


@pytest.mark.parametrize("name", SHIPPED_PROGRAMS)
def test_no_program_is_restarted_after_an_end_that_a_restart_cannot_mend(shipped, name):
    section = shipped[f"program:{name}"]

    assert section["autorestart"] == "unexpected"
    assert section["exitcodes"] == "0,70,78"
    assert section["startsecs"] == "0"  # whatever ends sooner would be retried, whatever its code


@pytest.mark.parametrize("name", SHIPPED_PROGRAMS)
def test_a_program_is_stopped_with_its_children_and_may_take_its_time(shipped, name):
    section = shipped[f"program:{name}"]

    assert section["stopasgroup"] == section["killasgroup"] == "true"
    assert int(section["stopwaitsecs"]) >= 30


def test_every_program_has_a_name_of_its_own():
    assert len({item.name for item in FLEET}) == len(FLEET)


@pytest.mark.parametrize("item", FLEET, ids=lambda item: item.name)
def test_every_program_has_a_command_and_a_purpose(item):
    command = item.command(Path("/srv/tbot"))

    assert command[:2] == ["-m", item.module]
    assert not any("{" in argument for argument in command)
    assert item.what
    assert item.data_mib > 0


def test_home_is_filled_into_arguments():
    command = program("demo-subscriber").command(Path("/srv/t bot"))

    assert command == ["-m", "tbot_client", "run", "--home", "/srv/t bot/state/demo-subscriber"]


@pytest.mark.parametrize("item", FLEET, ids=lambda item: item.name)
def test_a_program_is_found_by_its_name(item):
    assert program(item.name) is item


def test_an_unknown_program_is_refused_with_the_name_it_resembles():
    with pytest.raises(Misconfigured, match="did you mean 'resolver-fx'"):
        program("resolver-fy")


def test_an_unknown_program_that_resembles_none_is_refused_with_all_names():
    with pytest.raises(Misconfigured, match=f"known: {', '.join(item.name for item in FLEET)}"):
        program("?")


@pytest.mark.parametrize("folder", ["home", "my home's"])
def test_supervisord_accepts_what_is_written_for_another_home(tmp_path, folder):
    home = tmp_path / folder
    for name in ("run", "logs"):
        (home / name).mkdir(parents=True)

    path = write_config(home, {name: ["--flag", "two words"] for name in DEMO_PROGRAMS}, clock=CLOCK)

    programs, options = accepted(path)
    assert set(programs) == {item.name for item in FLEET}
    for name, config in programs.items():
        extra = " --flag 'two words'" if name in DEMO_PROGRAMS else ""
        assert config.command == f"{sys.executable} -m fleet.launch {name}{extra}"
        assert config.exitcodes == [0, 70, 78]
        assert config.stdout_logfile == str(home / "logs" / f"{name}.log")
        assert config.environment == {"TBOT_HOME": str(home), "TBOT_CLOCK": CLOCK, "TBOT_DEMO": "1"}
    assert options.directory == str(home)
    assert options.serverurl == f"unix://{home / 'run' / 'supervisor.sock'}"


@pytest.mark.parametrize("folder", ["home", "my home"])
def test_supervisord_accepts_the_shipped_configuration(tmp_path, folder):
    home = tmp_path / folder
    for name in ("run", "logs"):
        (home / name).mkdir(parents=True)
    (home / "supervisord.conf").write_bytes(SHIPPED.read_bytes())

    programs, options = accepted(home / "supervisord.conf")

    assert sorted(programs) == sorted(SHIPPED_PROGRAMS)
    for name, config in programs.items():
        assert shlex.split(config.command) == [f"{home}/.venv/bin/python", "-m", "fleet.launch", name]
        assert config.stdout_logfile == f"{home}/logs/{name}.log"
        assert config.environment == {"TBOT_HOME": str(home)}
    assert options.serverurl == f"unix://{home}/run/supervisor.sock"


def test_a_home_whose_socket_path_is_too_long_is_refused(tmp_path):
    longest = 95 - len("/run/supervisor.sock")
    short = Path("/" + "x" * (longest - 1))

    with pytest.raises(Refuse, match="at most 95 bytes"):
        write_config(Path(f"{short}x"), {}, clock=CLOCK)
    with pytest.raises(Refuse, match="at most 95 bytes"):
        write_config(tmp_path / ("é" * 45), {}, clock=CLOCK)


@pytest.mark.parametrize("odd", ["100%", 'a"b', "a ; b"])
def test_a_home_with_characters_that_supervisor_takes_for_its_own_is_refused(tmp_path, odd):
    with pytest.raises(Refuse, match="choose another one"):
        write_config(tmp_path / odd, {}, clock=CLOCK)

    assert not (tmp_path / odd).exists()
