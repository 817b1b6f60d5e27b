"""Orders of resellers: asked for under a key that makes them happen once, and filled in batches."""
