"""Bugs to plant, for controls: each must turn the soak red. Nothing of the shop imports this."""
