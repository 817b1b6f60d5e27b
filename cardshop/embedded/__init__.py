"""The built-in PostgreSQL and Redis: a shop, its tests and its benchmarks on a machine with only Python.

`python -m cardshop.embedded -- COMMAND` runs COMMAND with both servers up and stops them afterwards.
Everything they keep lies below one directory, `var`; why it is safe to lose power there is told
in `postgresql` and `supervisor`. Needs Linux; elsewhere set DATABASE_URL and REDIS_URL.
"""

from cardshop.embedded.places import database_url, redis_url, var_dir

__all__ = ["database_url", "redis_url", "var_dir"]
