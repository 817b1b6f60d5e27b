"""Who gets it: orders, their states, the holds on stock, the delivery of keys."""
