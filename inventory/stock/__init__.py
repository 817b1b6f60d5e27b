"""The stock engine: who may have how many. One conditional UPDATE decides, a CHECK stands behind it."""

from inventory.stock.prededuct import claim, release

__all__ = ["claim", "release"]
