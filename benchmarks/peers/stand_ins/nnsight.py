"""Stands in for nnsight, which dictionary-learning imports to read language models.

Nothing of it runs when plain tensors are trained on.
"""


def __getattr__(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return object
