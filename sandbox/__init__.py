"""A stand-in payment gateway that speaks 彩虹易支付 EPay v1 over real HTTP.

It takes no money. It imports nothing of the shop and has its own ledger and its own signing,
so that a mistake shared by both sides cannot hide. See README.md for how to start and drive it.
"""
