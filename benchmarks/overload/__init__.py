"""`make bench-overload`: five times as many clicks as the shop can use, and what becomes of everybody."""
