"""Import this module before timm: it makes torchvision load beside a torch built without CUDA.

With torch's CPU build and the torchvision wheel of the package index, `import torchvision` raises
"operator torchvision::nms does not exist": its compiled part needs CUDA's libraries, does not load,
and the registration of two operators that lack a definition fails. timm imports torchvision. So,
after that very error only, both operators get a definition without a body and the import is
repeated. Where torchvision loads, nothing is changed. `nms` stays unusable after the repair; this
project does not call it.
"""

import importlib
import sys

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
MISSING_OPERATOR = "torchvision::nms does not exist"

_definitions: torch.library.Library | None = None
"""Kept alive: torch forgets the definitions when their library is collected."""


def import_torchvision() -> bool:
    """Import torchvision, repaired if need be; return whether the repair was needed.

    Raises whatever the import raises for any other reason.
    """
    global _definitions
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if MISSING_OPERATOR not in str(error):
            raise
    else:
        return False
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    if _definitions is None:
        _definitions = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for schema in SCHEMAS:
            _definitions.define(schema)  # type: ignore[no-untyped-call]
    importlib.import_module("torchvision")
    return True


REPAIRED = import_torchvision()
"""Whether torchvision needed the definitions in this process."""
