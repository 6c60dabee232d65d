"""Where students' code runs: one policy and two ways in, a warm one (`Template`) and a cold one (`cold.open_cold`)."""

from classroom.sandbox.policy import Limits, SandboxError
from classroom.sandbox.template import Template

__all__ = ["Limits", "SandboxError", "Template", "open_template"]


def open_template(**options) -> Template:
    """Start the warm template of this machine, without waiting for it; see `Template`.

    Args:
        options: of `Template`.

    Raises:
        SandboxError: if bubblewrap is missing.
    """
    return Template(**options)
