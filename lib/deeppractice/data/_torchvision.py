"""torchvision, also where its build does not match torch's: the one place that imports it.

PyPI's torchvision is built for CUDA. Beside a torch for the CPU alone, its compiled operators can't be loaded, and the
import stops with "operator torchvision::nms does not exist". Declared first, without an implementation, the two that
it asks for let everything else work: models, transforms, data sets. What is compiled (`ops.nms`, the codecs of `io`)
still raises. A pair that matches is imported as it is.

After `from deeppractice.data._torchvision import torchvision`, a plain `import torchvision` works too.
"""

import sys

import torch

MISSING = "operator torchvision::nms does not exist"

try:
    import torchvision
except RuntimeError as error:
    if MISSING not in str(error):
        raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # what the first try left half-done
    _declared = torch.library.Library("torchvision", "DEF")  # the declarations live as long as this does
    for _operator in ("nms", "qnms"):
        _declared.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["torchvision"]
