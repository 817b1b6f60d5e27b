"""Durable messages: what must happen is written in the transaction that causes it."""
