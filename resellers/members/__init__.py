"""People of resellers: added, let in by mail, remembered for a while. See docs/adr/0032."""
