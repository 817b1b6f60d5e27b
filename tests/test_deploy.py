"""The units for systemd and the compose file run what the Procfile runs, with settings that there are."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from honcho.environ import parse_procfile

from cardshop.common.crypto import Keyring
from tests.stack import REPOSITORY

SYSTEMD, COMPOSE = REPOSITORY / "deploy" / "systemd", REPOSITORY / "deploy" / "compose"
INSTALLED = "/opt/cardshop"  # where the units expect it
PYTHON = f"{INSTALLED}/.venv/bin/python"
# Where each of them runs besides the processes of the Procfile.
BESIDE = {"gateway", "backup"}
SERVERS = {"database", "cache", "admission", "broker", "tls"}
# Read by others than the shop: gunicorn, Django, Python, PostgreSQL, Caddy.
OF_OTHERS = re.compile(r"DJANGO_SETTINGS_MODULE|PYTHON\w+|PATH|POSTGRES_\w+|TLS_HOSTS")


def procfile() -> dict[str, list[str]]:
    """The command of each process but the sandbox, in the words of a program that needs no shell."""
    commands = parse_procfile((REPOSITORY / "Procfile").read_text()).processes
    return {name: _without_shell(command) for name, command in commands.items() if name != "sandbox"}


def _without_shell(command: str) -> list[str]:
    words = shlex.split(command)
    assert words.pop(0) == "exec"
    if words[0] == "env":
        words = [word for word in words[1:] if "=" not in word or word.startswith("--")]
    return words


def unit(path: Path) -> configparser.ConfigParser:
    """The last of several lines of a name counts, which is enough here; but for Environment."""
    parsed = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read(path)
    return parsed


def units() -> dict[str, configparser.ConfigParser]:
    return {
        path.stem.removeprefix("cardshop-").replace("-", "_"): unit(path)
        for path in SYSTEMD.glob("cardshop-*.service")
    }


def compose() -> dict[str, Any]:
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text())


def services() -> dict[str, dict[str, Any]]:
    return compose()["services"]


def test_every_process_has_its_unit_and_runs_the_same_command():
    said = {name: shlex.split(each["Service"]["ExecStart"]) for name, each in units().items()}

    assert said.keys() == procfile().keys() | BESIDE
    for name, words in procfile().items():
        here = [
            word.replace("%%", "%").replace(PYTHON, "python").removeprefix(f"{INSTALLED}/")
            for word in said[name]
        ]
        assert here == words, name


def test_the_target_starts_every_process_and_stops_it():
    wanted = re.findall(r"^Wants=(.*)$", (SYSTEMD / "cardshop.target").read_text(), re.MULTILINE)

    started = {name for line in wanted for name in line.split()}
    assert started == {f"cardshop-{name.replace('_', '-')}.service" for name in procfile() | {"gateway": []}}
    common = unit(SYSTEMD / "cardshop-.service.d" / "10-common.conf")
    assert common["Unit"]["PartOf"] == "cardshop.target"
    assert common["Service"]["Restart"] == "always"


def test_every_process_has_its_service_and_runs_the_same_command():
    assert services().keys() == procfile().keys() | BESIDE | SERVERS | {"prepare", "manage"}
    for name, words in procfile().items():
        assert services()[name]["command"] == words, name


def names_read() -> set[str]:
    """What the shop asks of its environment."""
    asks = re.compile(
        r"""(?:env\.(?:read|required|names|generated_secret)|environ\.get)\(\s*f?"([A-Z_]+)"|environ\["([A-Z_]+)"\]"""
    )
    sources = [*REPOSITORY.glob("cardshop/**/*.py"), REPOSITORY / "deploy" / "gunicorn.conf.py"]
    return {
        name for path in sources for found in asks.findall(path.read_text()) for name in found if name
    } | set(re.findall(r"\$\{?(?:[A-Z_]+_PORT)", (REPOSITORY / "Procfile").read_text()))


def unknown(names: set[str]) -> set[str]:
    known = names_read()
    return {
        name for name in names if name.removesuffix("_FILE") not in known and not OF_OTHERS.fullmatch(name)
    }


def test_the_environment_of_the_units_is_known_to_the_shop():
    lines = "\n".join(path.read_text() for path in SYSTEMD.rglob("*") if path.suffix in {".service", ".conf"})
    given = {
        word.partition("=")[0]
        for line in re.findall(r"^Environment=(.*)$", lines, re.MULTILINE)
        for word in shlex.split(line)
    }
    example = (SYSTEMD / "cardshop.env.example").read_text()
    given |= set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))

    assert "CARD_KEY_KEK_FILE" in given
    assert unknown(given) == set()
    assert unknown({"CARD_KEY_KEY"}) == {"CARD_KEY_KEY"}  # control: a slip is noticed


def test_the_environment_of_the_services_is_known_to_the_shop():
    given = {name for each in services().values() for name in each.get("environment", {})}

    assert "CARD_KEY_KEK_FILE" in given
    assert unknown(given) == set()


def required() -> set[str]:
    source = (REPOSITORY / "cardshop" / "settings" / "production.py").read_text()
    return set(re.findall(r'required\("([A-Z_]+)"\)', source))


def test_what_production_requires_is_given_to_every_process():
    built_in = set(re.findall(r"\b([A-Z_]+)=/", (COMPOSE / "Dockerfile").read_text()))
    example = (SYSTEMD / "cardshop.env.example").read_text()
    by_units = {name.removesuffix("_FILE") for name in re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)}

    assert required() <= by_units
    for name in procfile().keys() | {"gateway", "prepare", "manage", "backup"}:
        given = {each.removesuffix("_FILE") for each in services()[name]["environment"]}
        assert required() <= given | built_in, name


def test_secrets_come_as_files_that_are_drawn(tmp_path):
    shutil.copy(COMPOSE / "new-secrets", tmp_path)
    for _twice in range(2):
        subprocess.run(["sh", tmp_path / "new-secrets"], check=True, capture_output=True)
    drawn = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    declared = {name: Path(each["file"]).name for name, each in compose()["secrets"].items()}
    assert set(declared.values()) == drawn.keys()
    for each in services().values():
        for secret in each.get("secrets", []):
            assert (secret if isinstance(secret, str) else secret["source"]) in declared
    assert Keyring.parse(drawn["card_key_kek"]).active == "k1"
    assert len(drawn["secret_key"]) >= 50
    assert drawn["database_password"] in drawn["database_url"]
    assert drawn["broker_account"].split()[-1] in drawn["broker_url"]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_containers_are_nobody_and_can_change_nothing():
    for name, each in services().items():
        if name in SERVERS:
            continue
        assert each["user"] == "10001:10001", name
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    assert [line for line in dockerfile.splitlines() if line.startswith("USER")][-1] == "USER cardshop"


def test_what_answers_has_its_health_looked_at():
    looked_at = {name for name, each in services().items() if "healthcheck" in each}

    assert looked_at == {"web", "hot", "api", "gateway", "database", "cache", "admission", "broker"}


def test_services_name_what_there_is_and_wait_for_what_can_be_waited_for():
    """As `docker compose config` would say it."""
    mounted = [
        volume.partition(":")[0]
        for each in services().values()
        for volume in each.get("volumes", [])
        if not volume.startswith((".", "/"))
    ]
    attached = [name for each in services().values() for name in each.get("networks", [])]
    waits = [
        (name, awaited, condition["condition"])
        for name, each in services().items()
        if isinstance(each.get("depends_on"), dict)
        for awaited, condition in each["depends_on"].items()
    ]

    assert set(mounted) == compose()["volumes"].keys()
    assert set(attached) == compose()["networks"].keys()
    assert {awaited for _name, awaited, _condition in waits} <= services().keys()
    for name, awaited, condition in waits:
        if condition == "service_healthy":
            assert "healthcheck" in services()[awaited], (name, awaited)
        else:
            assert services()[awaited]["restart"] == "no", (name, awaited)  # it comes to an end


def test_what_has_to_be_kept_is_on_a_volume():
    """All else of a container is gone with it: orders, lines, pictures, backups and certificates are not."""
    kept = {
        "database": "/var/lib/postgresql",
        "admission": "/data",
        "broker": "/var/lib/rabbitmq",
        "tls": "/data",
        "backup": "/srv/backups",
        **dict.fromkeys(procfile().keys() | {"manage"}, "/srv/media"),
    }

    for name, place in kept.items():
        assert place in [volume.split(":")[1] for volume in services()[name]["volumes"]], name
    # Only who makes backups may change them; who tells of their age, or restores one, has to see them.
    assert "backups:/srv/backups" in services()["backup"]["volumes"]
    for name in ("worker", "manage"):
        assert "backups:/srv/backups:ro" in services()[name]["volumes"]


def test_the_gateway_has_the_address_that_is_trusted():
    gateway = services()["gateway"]["networks"]

    assert gateway.keys() == {"outside"}  # in two networks it would be known by either address
    trusted = services()["web"]["environment"]["TRUSTED_PROXIES"].split(",")
    assert f"{gateway['outside']['ipv4_address']}/32" in trusted


def test_the_image_has_what_it_needs():
    left_out = (COMPOSE / "Dockerfile.dockerignore").read_text().split()

    assert not {"deploy", "templates", "static", "locale", "manage.py"} & set(left_out)
    assert "deploy/compose/secrets" in left_out


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_units(tmp_path):
    """Where they lie here, with this Python; what is not installed here is no matter of theirs."""
    for source in SYSTEMD.rglob("*"):
        if source.is_file() and source.suffix in {".service", ".conf", ".target", ".timer", ".slice"}:
            target = tmp_path / source.relative_to(SYSTEMD)
            target.parent.mkdir(exist_ok=True)
            text = source.read_text().replace(PYTHON, "/usr/bin/env")
            target.write_text(text.replace(INSTALLED, str(REPOSITORY)))
    names = [path for path in tmp_path.iterdir() if path.suffix in {".service", ".target", ".timer"}]

    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:/usr/lib/systemd/system:/lib/systemd/system"},
        capture_output=True,
        text=True,
    )

    assert (said.returncode, said.stderr) == (0, "")
