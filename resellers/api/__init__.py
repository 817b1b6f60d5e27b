"""`/api/reseller/v1/`: what a reseller's programs may ask for."""
