"""`/api/merchant/v1/`: what the merchant's own programs may do, which is what the administration can.

Each view asks the services that the administration's pages ask. Nothing is decided here.
"""
