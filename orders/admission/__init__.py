"""The line in front of a hot variant: Redis admits, an allocator settles in batches, PostgreSQL decides."""
