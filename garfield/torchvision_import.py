"""The one place that imports torchvision, also where it was built for CUDA and torch was not."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def import_torchvision() -> ModuleType:
    """torchvision, imported.

    Built for CUDA, it finds none of its compiled operators beside a CPU-only torch and fails while it registers
    functions for `nms`. Data sets, transforms and models need none of them, so declaring the two is enough.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    import torch

    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    module = importlib.import_module("torchvision")
    module._declared_operators = library  # the declarations last as long as this object
    return module
