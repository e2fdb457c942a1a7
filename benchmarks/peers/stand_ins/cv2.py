"""Stands in for OpenCV, which overcomplete and quantus import to draw and to blur pictures.

Nothing of it runs when autoencoders are trained or pixels are replaced by a constant.
"""


def __getattr__(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return object
