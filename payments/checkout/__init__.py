"""The payable order: its page and API, and how it ends unpaid (which must ask the provider)."""
