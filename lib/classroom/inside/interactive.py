"""IPython's shell as a Jupyter kernel has it, with a recorder where the kernel has its sockets.

It follows `ipykernel.zmqshell` and `ipykernel.ipkernel` step by step, so that a notebook gives the same outputs here;
what they do for a front end that is not there (widgets' messages, the pager, the next cell's text) is left out.
"""

from __future__ import annotations

import builtins
import getpass
import os
import shutil
import sys
import tempfile
import zlib
from subprocess import CalledProcessError

from IPython.core import page
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell, InteractiveShellABC
from traitlets import Any, Bool, CBool, Instance, Type, default
from traitlets.config import Config

from classroom.inside import command
from classroom.inside.record import Recorder


class ResultHook(DisplayHook):
    """What happens with the value of a cell's last line."""

    recorder = Any()
    _output: dict | None = None

    def start_displayhook(self):
        self._output = {"output_type": "execute_result", "data": {}, "metadata": {}}

    def write_output_prompt(self):
        self._output["execution_count"] = self.prompt_count

    def write_format_data(self, format_dict, md_dict=None):
        self._output |= {"data": format_dict, "metadata": md_dict or {}}

    def finish_displayhook(self):
        output, self._output = self._output, None
        flush_streams()
        if output is not None and output["data"]:
            self.recorder.add(output)

    @property
    def formatting(self) -> bool:
        """Whether a result is being formatted just now: an error shown meanwhile is the cell's."""
        return self._output is not None


class Publisher(DisplayPublisher):
    """Where `display` leads."""

    recorder = Any()

    def publish(self, data, metadata=None, *, transient=None, update=False, **_):
        self._validate_data(data, metadata or {})
        flush_streams()
        display_id = (transient or {}).get("display_id")
        if update:
            self.recorder.update(display_id, data, metadata or {})
        else:
            output = {"output_type": "display_data", "data": data, "metadata": metadata or {}}
            self.recorder.add(output, display_id)

    def clear_output(self, wait=False):
        flush_streams()
        self.recorder.clear(wait)


class Compiler(CachingCompiler):
    """Names cells by a path, as a Jupyter kernel does: warnings and tools that read sources show and expect one."""

    def get_code_name(self, raw_code, code, number):
        return os.path.join(tempfile.gettempdir(), f"ipykernel_{os.getpid()}", f"{zlib.crc32(raw_code.encode())}.py")


class ZMQInteractiveShell(InteractiveShell):  # the name that libraries look for to know that they are in a notebook
    """The shell; one in a process.

    Args:
        recorder: where outputs go.
    """

    displayhook_class = Type(ResultHook)
    display_pub_class = Type(Publisher)
    compiler_class = Type(Compiler)
    exiter = Instance(ZMQExitAutocall)
    readline_use = CBool(False)
    autoindent = CBool(False)
    keepkernel_on_exit = Any()
    failed_in_display = Bool(False)  # an error while a result was formatted
    last_traceback = Any()

    def __init__(self, recorder: Recorder, **kwargs):
        self.recorder = recorder
        config = Config()
        config.HistoryManager.hist_file = ":memory:"
        config.HistoryManager.enabled = False  # no database; `In`, `Out` and `_` work all the same
        config.IPKernelApp.tqdm = "in a notebook"  # what tqdm has looked at, as in ipykernel
        sys.modules["ipykernel.zmqshell"] = sys.modules[__name__]  # what it looks at now, and others ask for the class
        place = tempfile.mkdtemp(prefix="ipython-")  # a profile of its own, and nobody's start-up files
        try:
            super().__init__(config=config, ipython_dir=place, **kwargs)
        finally:
            shutil.rmtree(place)
        self.displayhook.recorder = self.display_pub.recorder = recorder

    @default("exiter")
    def _default_exiter(self):
        return ZMQExitAutocall(self)

    def init_environment(self):
        colour = {"TERM": "xterm-color", "CLICOLOR": "1", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}
        os.environ.update(colour | {"PAGER": "cat", "GIT_PAGER": "cat"})

    def init_virtualenv(self):
        """The environment is what it is."""

    def init_hooks(self):
        super().init_hooks()
        self.set_hook("show_in_pager", page.as_hook(lambda *_, **__: None), 99)  # `?`: only a front end shows it

    def enable_gui(self, gui=None):
        """No windows here; `%matplotlib inline` asks for none."""

    def set_next_input(self, text, replace=False):
        """`%load` writes into the next cell of a front end; here is none."""

    def ask_exit(self):
        self.exit_now = not self.keepkernel_on_exit

    def run_cell(self, *args, **kwargs):
        self.last_traceback, self.failed_in_display = None, False
        return super().run_cell(*args, **kwargs)

    def _showtraceback(self, etype, evalue, stb):
        flush_streams()
        self.failed_in_display = self.failed_in_display or self.displayhook.formatting
        self.recorder.add(error_output(etype.__name__, str(evalue), stb))
        self.last_traceback = stb

    def system_piped(self, cmd):
        """`!command`."""
        if cmd.rstrip().endswith("&"):
            raise OSError("Background processes not supported.")
        code = command.run(self.var_expand(cmd, depth=1))
        self.user_ns["_exit_code"] = code
        if getattr(self, "system_raise_on_error", False) and code != 0:
            raise CalledProcessError(code, cmd)

    system = system_piped


InteractiveShellABC.register(ZMQInteractiveShell)


def flush_streams() -> None:
    """Let what was written stand before what is shown next."""
    sys.stdout.flush()
    sys.stderr.flush()


def error_output(name: str, value: str, traceback: list[str]) -> dict:
    """An output of type error."""
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": list(traceback)}


def nobody_types() -> None:
    """Let `input`, `getpass` and the debugger say that nobody can answer, as in nbgrader's autograder."""
    import pdb

    from IPython.core import debugger

    def refuse(name: str):
        def asked(prompt="", *_, **__):
            raise StdinNotImplementedError(f"{name} was called, but this frontend does not support input requests.")

        return asked

    builtins.input = refuse("raw_input")
    getpass.getpass = refuse("getpass")
    debugger.Pdb = debugger.InterruptiblePdb
    pdb.Pdb, pdb.set_trace = debugger.Pdb, debugger.set_trace
