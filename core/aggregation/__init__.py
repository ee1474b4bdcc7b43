"""From the last observations of every leg to one estimate a feed. Pure numpy: no I/O, no clock."""
