"""Who of the staff did what, when, from where: rows that are added and never changed. See docs/adr/0023."""
