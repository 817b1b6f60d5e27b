"""Orders by program, beside pretix's order API on the same machine. See benchmarks/README.md."""
