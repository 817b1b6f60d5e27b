"""What is for sale and how much of it: the catalogue, the card keys, the stock counters."""
