"""The built-in servers, run as `make run` runs them. Needs neither Django nor a database."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis

from cardshop.embedded import database_url, redis_url
from cardshop.embedded.places import REPOSITORY, SOCKET_PATH_LIMIT, postgres_socket, redis_socket

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the built-in servers need Linux"),
    pytest.mark.timeout(60),
]


class Shop:
    """A supervisor on its own var whose command says so once it runs, then waits to be stopped."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "cardshop.embedded", "--var", str(self.var), "--"),
                *(command or ("sh", "-c", "echo ready; exec sleep 60")),
            ],
            cwd=REPOSITORY,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def start_and_wait(self) -> subprocess.Popen[str]:
        process = self.start()
        assert process.stdout
        line = process.stdout.readline()
        if line != "ready\n":
            pytest.fail(f"no start: {process.communicate()[1]}")
        return process

    def query(self, statement: str) -> list[tuple[object, ...]]:
        with closing(psycopg2.connect(database_url(self.var))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(redis_url(self.var))

    def processes(self) -> list[str]:
        """Living processes that have to do with this var, found by argument, mark or directory."""
        needle = os.fsencode(self.var)
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
                if needle in told or os.fsencode(os.readlink(folder / "cwd")).startswith(needle):
                    found.append(f"{folder.name} {(folder / 'comm').read_text().strip()}")
            except OSError:
                continue
        return found


def _environment() -> dict[str, str]:
    """As after `env -i`: the suite itself may run under such servers."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def _wait_for(happened: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A var with a finished database that holds one row; made once, since initdb takes its time."""
    with tempfile.TemporaryDirectory(prefix="embedded") as folder:
        shop = Shop(Path(folder) / "var")
        process = shop.start_and_wait()
        shop.query("CREATE TABLE kept AS SELECT 7 AS number")
        shop.redis().set("kept", "8")
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM, process.communicate()[1]
        assert shop.processes() == []
        yield shop.var


@pytest.fixture
def shop(template: Path) -> Iterator[Shop]:
    """A copy of the template, not running. 0700 above it, as `mktemp -d` makes it."""
    with tempfile.TemporaryDirectory(prefix="embedded") as folder:
        subprocess.run(["cp", "-a", template, folder], check=True)
        shop = Shop(Path(folder) / "var")
        yield shop
        for process in shop.started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=20)
        assert _wait_for(lambda: not shop.processes()), shop.processes()


def test_a_later_start_finds_the_same_data(shop: Shop) -> None:
    shop.start_and_wait()

    assert shop.query("SELECT number FROM kept") == [(7,)]
    assert shop.redis().get("kept") == b"8"


def test_the_command_gets_the_addresses_and_its_exit_code_is_returned(shop: Shop) -> None:
    process = shop.start("sh", "-c", 'echo "$DATABASE_URL $REDIS_URL $CARDSHOP_VAR"; exit 3')
    out, _ = process.communicate(timeout=20)

    assert out == f"{database_url(shop.var)} {redis_url(shop.var)} {shop.var}\n"
    assert process.returncode == 3
    assert shop.processes() == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_command_once_and_nothing_is_left(shop: Shop, signum: signal.Signals) -> None:
    name = signum.name.removeprefix("SIG")
    # A moment before it is ready: a command is only known to its supervisor once that has returned from
    # starting it, and a signal before then ends the start.
    listen = f"trap 'echo heard' {name}; sleep 0.3; echo ready; sleep 2 & wait; wait; exit 5"
    process = shop.start("bash", "-c", listen)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signum)
    process.send_signal(signum)
    out, errors = process.communicate(timeout=20)

    assert out == "heard\n", errors
    assert process.returncode == 5
    assert shop.processes() == []


def test_what_the_command_leaves_running_is_ended(shop: Shop) -> None:
    process = shop.start("sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & setsid sleep 300 >/dev/null 2>&1 &")
    process.communicate(timeout=20)

    assert process.returncode == 0
    assert shop.processes() == []


def test_killing_the_supervisor_ends_everything_and_blocks_nothing(shop: Shop) -> None:
    process = shop.start_and_wait()
    process.kill()
    process.wait()

    assert _wait_for(lambda: not shop.processes()), shop.processes()
    shop.start_and_wait()
    assert shop.query("SELECT number FROM kept") == [(7,)]


def test_a_start_right_after_the_kill_waits_for_the_leftovers(shop: Shop) -> None:
    process = shop.start_and_wait()
    process.kill()

    shop.start_and_wait()
    assert shop.query("SELECT number FROM kept") == [(7,)]


def test_a_second_supervisor_on_the_same_var_is_refused(shop: Shop) -> None:
    shop.start_and_wait()

    second = shop.start("true")
    _, errors = second.communicate(timeout=20)

    assert second.returncode == 1
    assert f"Already running in {shop.var}" in errors
    assert shop.query("SELECT number FROM kept") == [(7,)]


@pytest.mark.parametrize("content", ["{unrelated}\n{data}\n1\n5432\n", "", "12", "not a number\n"])
def test_a_stale_postmaster_pid_does_not_block(shop: Shop, content: str) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        data = shop.var / "postgres" / "data"
        for path in (data / "postmaster.pid", postgres_socket(shop.var).with_name(".s.PGSQL.5432.lock")):
            path.write_text(content.format(unrelated=bystander.pid, data=data))
            shutil.copystat(data, path)
            os.chown(path, data.stat().st_uid, data.stat().st_gid)

        shop.start_and_wait()

        assert shop.query("SELECT number FROM kept") == [(7,)]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_killed_servers_are_started_again_and_lose_nothing(shop: Shop) -> None:
    shop.start_and_wait()
    shop.query("CREATE TABLE later AS SELECT 9 AS number")
    postmaster = int((shop.var / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(int(str(shop.redis().info("server")["process_id"])), signal.SIGKILL)  # type: ignore[index]
    os.kill(postmaster, signal.SIGKILL)

    def back() -> bool:
        try:
            return shop.query("SELECT number FROM later") == [(9,)] and shop.redis().get("kept") == b"8"
        except (psycopg2.OperationalError, redis.RedisError):
            return False

    assert _wait_for(back)


def test_a_half_made_database_is_made_anew(shop: Shop) -> None:
    data = shop.var / "postgres" / "data"
    data.rename(data.with_name("data.new"))  # what a power cut during initdb leaves
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")

    shop.start_and_wait()

    assert shop.query("SELECT to_regclass('kept')") == [(None,)]
    assert not data.with_name("data.new").exists()


@pytest.mark.parametrize("tail", [b"*3\r\n$3\r\nSET\r\n$4\r\nke", b"\0" * 100], ids=["cut off", "zeros"])
def test_a_damaged_redis_file_does_not_block(shop: Shop, tail: bytes) -> None:
    with (shop.var / "redis" / "appendonly.aof").open("ab") as file:
        file.write(tail)

    shop.start_and_wait()

    assert shop.redis().ping()


def test_only_the_owner_can_look_into_var(shop: Shop) -> None:
    process = shop.start_and_wait()

    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in shop.var.iterdir() if path.is_dir()}
    assert set(modes.values()) == {"0o700"}
    assert oct(shop.var.stat().st_mode & 0o777) == ("0o710" if os.geteuid() == 0 else "0o700")
    assert oct(shop.var.parent.stat().st_mode & 0o777) == ("0o701" if os.geteuid() == 0 else "0o700")
    process.terminate()


def test_personal_data_stays_out_of_the_log(shop: Shop) -> None:
    shop.start_and_wait()
    shop.query("CREATE TABLE person (email text PRIMARY KEY)")
    shop.query("INSERT INTO person VALUES ('canary@example.org')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        shop.query("INSERT INTO person VALUES ('canary@example.org')")
    with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
        shop.query("SELECT 'canary@example.org'::int")

    assert "canary" not in (shop.var / "log" / "postgresql.log").read_text()


def test_a_long_path_gets_short_private_sockets(shop: Shop) -> None:
    shop.var = shop.var.rename(shop.var.with_name("v" * 120))

    process = shop.start_and_wait()

    for socket in (postgres_socket(shop.var), redis_socket(shop.var)):
        assert len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT
        assert oct(socket.parent.stat().st_mode & 0o777) == "0o700"
    assert shop.query("SELECT number FROM kept") == [(7,)]
    process.terminate()
    process.communicate(timeout=20)
    assert not postgres_socket(shop.var).parent.exists()
    assert not redis_socket(shop.var).parent.exists()


def test_given_addresses_are_left_alone(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [
            *(sys.executable, "-m", "cardshop.embedded", "--var", str(tmp_path / "var"), "--"),
            *("sh", "-c", 'echo "$DATABASE_URL $REDIS_URL"'),
        ],
        cwd=REPOSITORY,
        env=_environment()
        | {"DATABASE_URL": "postgresql://elsewhere/shop", "REDIS_URL": "redis://elsewhere"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert outcome.stdout == "postgresql://elsewhere/shop redis://elsewhere\n"
    assert outcome.stderr == ""
    assert not (tmp_path / "var" / "postgres").exists()
