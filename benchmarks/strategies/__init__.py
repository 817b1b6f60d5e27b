"""What a unit sold costs, by every stock strategy and by bare SQL. See benchmarks/README.md."""
