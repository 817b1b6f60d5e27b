"""`make storm`: everybody clicks at once, and afterwards everything is counted."""
