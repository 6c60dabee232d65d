"""torchvision for a notebook, also where its build does not match torch's.

    from deeppractice.data.vision import torchvision

A torchvision that was built for GPUs can't be imported beside a torch for the CPU alone; this one can. Models,
transforms and data sets work; what is compiled (`torchvision.ops.nms`) raises where it is missing, as it would before.
"""

from deeppractice.data._torchvision import torchvision

__all__ = ["torchvision"]
