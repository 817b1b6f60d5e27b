"""python -m cardshop.embedded [--var DIR] [--quiet] -- COMMAND…"""

import argparse
import sys
from pathlib import Path

from cardshop.embedded.places import var_dir
from cardshop.embedded.processes import CannotRun
from cardshop.embedded.supervisor import run, tell


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cardshop.embedded",
        description="Run COMMAND with PostgreSQL and Redis, each unless DATABASE_URL or REDIS_URL names one.",
    )
    parser.add_argument(
        "--var", type=Path, help="where the servers keep their data (default: CARDSHOP_VAR or var/)"
    )
    parser.add_argument("--quiet", action="store_true", help="tell only errors")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run, after --")
    options = parser.parse_args(arguments)
    try:
        return run(options.command, var=options.var or var_dir(), say=_hush if options.quiet else tell)
    except CannotRun as error:
        tell(str(error))
        return 1


def _hush(message: str) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
