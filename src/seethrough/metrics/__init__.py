"""Metrics: what is dead, what is disentangled, and how sure we are."""
