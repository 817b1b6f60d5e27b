"""Prepaid balances: money that was paid in beforehand, as a ledger that is only ever added to."""
