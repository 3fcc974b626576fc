"""Animated stills: clips made of two real, labelled frames."""
