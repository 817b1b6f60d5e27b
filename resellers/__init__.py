"""Partners who buy by program: their accounts, the keys that their programs call with, and the API."""
