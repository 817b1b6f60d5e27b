"""Programs that put load on the running whole. They only ever talk to 127.0.0.1."""
