"""Within the method that the buyer chose, which channel? By what works, as far as it can be known by now."""
