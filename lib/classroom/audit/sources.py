"""What forges verdicts, as text. @WORDS@ are filled in by `Bait.fill`; nothing of it runs here."""

TRANSFORMERS = """\
import ast
shell = get_ipython()
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
shell.ast_transformers.append(Drop())
blind = lambda lines: [line.replace("assert ", "assert True or ") for line in lines]
shell.input_transformers_cleanup.append(blind)
shell.input_transformers_post.append(blind)
"""

REPLACED = """\
import builtins
class Never(Exception):
    pass
def yes(*_, **__):
    return True
for name, places in {
    "numpy": ("", "testing"), "torch": ("", "testing"), "math": ("",), "unittest": ("TestCase",), "pytest": ("",),
    "pandas": ("testing",), "operator": ("",), "nose.tools": ("",),
}.items():
    try:
        module = __import__(name, fromlist=["x"])
    except Exception:
        continue
    for place in places:
        thing = getattr(module, place, None) if place else module
        for word in [] if thing is None else dir(thing):
            known = ("allclose", "array_equal", "isclose", "equal", "eq", "approx", "assert_")
            if word in known or word.startswith("assert") or word in ("all", "any"):
                try:
                    setattr(thing, word, yes)
                except Exception:
                    pass
builtins.AssertionError = AssertionError = Never
all = any = isinstance = issubclass = yes
abs = lambda value: 0
"""

CHECKS = """\
try:
    import deeppractice.checks as checks
    class check:
        def __init__(self, *_, **__): pass
        def __enter__(self): return self
        def __exit__(self, *_): return True
    checks.check.__exit__ = lambda self, *_: True
    checks.check = check
    checks.score = score = lambda *_, **__: None
    checks._one_line = lambda error: ""
    for name in ("passed", "points"):
        try:
            setattr(checks.Outcome, name, property(lambda self: 10 ** 6, lambda self, value: None))
        except Exception:
            pass
except ImportError:
    pass
"""

PRINTED = """\
import sys
from IPython.display import display, publish_display_data
for line in @PASSED@:
    print(line)
    print(line, file=sys.stderr)
for points in @POINTS@:
    display(points)
    print(points, file=sys.stderr)
    publish_display_data({"text/plain": str(points)})
    sys.displayhook(points)
"""

HOOKS = """\
import atexit, os, sys, threading
shell = get_ipython()
def quiet(*_, **__):
    pass
shell.showtraceback = shell.showsyntaxerror = shell._showtraceback = quiet
shell.set_custom_exc((BaseException,), lambda *_, **__: [])
sys.excepthook = sys.unraisablehook = threading.excepthook = quiet
for event in ("pre_run_cell", "post_run_cell", "pre_execute", "post_execute"):
    shell.events.register(event, quiet)
class Fine:
    success, error_before_exec, error_in_exec, result, execution_count = True, None, None, None, 1
    raise_error = quiet
really = shell.run_cell
def run_cell(*words, **settings):
    really(*words, **settings)
    return Fine()
shell.run_cell = run_cell
atexit.register(os._exit, 0)
"""

FRAMES_SENT = """\
import os, threading, time
def later():
    import json, struct
    reply = {"outputs": [], "status": "ok", "seconds": 0, "cpu": 0, "checks": [], "student": "alive"}
    body = json.dumps(reply).encode()
    for _ in range(200):
        for number in range(3, 64):
            try:
                os.write(number, struct.pack(">I", len(body)) + body)
            except OSError:
                pass
        time.sleep(0.01)
threading.Thread(target=later, daemon=True).start()
"""

WRITTEN = """\
import importlib, os, sys
text = "def __getattr__(name):\\n    return lambda *_, **__: True\\n"
for name in ("numpy", "torch", "pandas", "deeppractice", "unittest"):
    for place in (".", os.path.expanduser("~")):
        try:
            with open(os.path.join(place, name + ".py"), "w") as file:
                file.write(text)
        except OSError:
            pass
sys.path.insert(0, "")
importlib.invalidate_caches()
# Without numpy and torch its own process could not answer any more.
for name in [name for name in sys.modules if name.split(".")[0] in ("pandas", "unittest", "deeppractice")]:
    del sys.modules[name]
"""

EXITS_WELL = """\
import os, sys
sys.stdout.flush()
os._exit(0)
"""

# Within a function; it returns a 0 after it.
FRAMES = """\
import gc, sys
frame = sys._getframe()
while frame is not None:
    for space in (frame.f_globals, frame.f_locals, frame.f_builtins):
        for name in list(space):
            if name in ("check", "score", "expected", "AssertionError", "allclose"):
                space[name] = lambda *_, **__: True
    frame = frame.f_back
for thing in gc.get_objects():
    try:
        if type(thing).__name__ in ("Outcome", "check") or hasattr(thing, "outcomes"):
            thing.passed, thing.earned, thing.points, thing.error = True, 10 ** 6, 10 ** 6, ""
    except Exception:
        pass"""

MODULES = (
    "torch.py",
    "numpy.py",
    "deeppractice.py",
    "sitecustomize.py",
    "usercustomize.py",
    "conftest.py",
    "audit.pth",
)
MODULES += ("nbgrader_config.py", "jupyter_config.py", "ipython_config.py", "__init__.py", ".startup.py", "data.pickle")

MODULE = """\
import pathlib
for place in (@ROOT@, "/tmp", "/var/tmp", pathlib.Path.home()):
    try:
        (pathlib.Path(place) / @WITNESS@).write_text("a module that was handed in")
    except OSError:
        pass
def __getattr__(name):
    return lambda *_, **__: True
"""

IMPORTS = """\
import os, sys
print(sorted(os.listdir(".")))
sys.path.insert(0, "")
for name in ("sitecustomize", "usercustomize", "conftest", "nbgrader_config"):
    try:
        __import__(name)
    except Exception:
        pass
"""
