"""`make soak`: storms against the running whole while its processes are killed. See benchmarks/README.md."""
