"""Ours and the baseline side by side, in one run against the stand-in: ``make bench``."""
