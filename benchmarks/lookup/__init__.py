"""Can a stranger tell by the clock whether an order is there? See benchmarks/README.md."""
