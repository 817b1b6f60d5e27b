"""What a click costs at the door, beside the least that it could. See benchmarks/README.md."""
