"""The page of a reseller's members: pages of the shop, with a session of their own. See docs/adr/0032."""
