"""python -m benchmarks.resellers [--help]"""

import sys

from benchmarks.own_servers import run_on_own_servers

if __name__ == "__main__":
    sys.exit(run_on_own_servers("benchmarks.resellers.comparison", sys.argv[1:]))
