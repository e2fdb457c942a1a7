"""Figures of the book; importing a module here imports matplotlib."""
