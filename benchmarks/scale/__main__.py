"""python -m benchmarks.scale [--help]"""

import os
import sys

from benchmarks.own_servers import run_on_own_servers

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.scale.settings"
    sys.exit(run_on_own_servers("benchmarks.scale.comparison", sys.argv[1:]))
