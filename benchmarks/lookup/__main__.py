"""python -m benchmarks.lookup [--help]"""

import sys

from benchmarks.own_servers import run_on_own_servers

if __name__ == "__main__":
    sys.exit(run_on_own_servers("benchmarks.lookup.telling_apart", sys.argv[1:]))
