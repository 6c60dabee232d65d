"""Cells that a notebook may have, run by the shell and by a Jupyter kernel: the outputs have to be the same.

They run in order in one session; what a cell needs stands before it. CELLS and SLOW are lists of (name, source).
"""


def _cells(text: str) -> list[tuple[str, str]]:
    return [tuple(part.strip("\n").split("\n", 1)) for part in text.split("#### ")[1:]]


CELLS = _cells(r"""
#### nothing to show
x = 3
#### a result
x + 1
#### the names of a notebook
sorted(globals())
#### their values
__name__, __doc__, __package__, __spec__, __loader__, Out, _dh == [__import__("pathlib").Path.cwd()]
#### a result that is None
None
#### print and a result
print('a'); print('b', end=''); x
#### a long result is pretty-printed
list(range(200))
#### a result hidden by a semicolon
x;
#### the last results
_, __, Out[2], In[1], sorted(Out)
#### two streams
import sys
print('out')
print('err', file=sys.stderr)
print('out again')
#### streams around a display
print('before')
display({'a': 1})
print('after')
#### an error
def f(n):
    return 1 / n
f(0)
#### an error after output
print('so far')
{}['key']
#### an error with a cause
try:
    f(0)
except ZeroDivisionError as e:
    raise ValueError('no') from e
#### an error of one's own
class MyError(Exception):
    pass
raise MyError('ä' * 3)
#### an assertion
assert x == 4, f'expected 4, got {x}'
#### a syntax error
def g(:
    pass
#### an indentation error
if True:
print(1)
#### a name that is not there
undefined_name
#### an exception group
raise ExceptionGroup('several', [ValueError('one'), TypeError('two')])
#### sys.exit
sys.exit(1)
#### arguments of the program
import argparse
argparse.ArgumentParser().parse_args()
#### recursion
def r(n):
    return r(n + 1)
try:
    r(0)
except RecursionError as e:
    print(type(e))
#### await
import asyncio
await asyncio.sleep(0.01)
'awaited'
#### await of an error
async def bad():
    raise KeyError('async')
await bad()
#### a running loop
asyncio.get_running_loop().is_running(), asyncio.get_event_loop().is_running()
#### asyncio.run in a running loop
async def nothing():
    return 1
c = nothing()
asyncio.run(c)
#### a task that goes on
done = []
async def later():
    done.append(1)
task = asyncio.create_task(later())
#### it went on
done
#### async comprehension
async def numbers():
    for i in range(3):
        yield i
[i async for i in numbers()]
#### input
input('your name: ')
#### getpass
import getpass
getpass.getpass()
#### a debugger
import pdb
pdb.set_trace()
#### a shell command
!echo from the shell; echo and its errors >&2
#### its exit status
!exit 3
_exit_code
#### its output as a list
lines = !printf 'a\nb\n'
lines
#### a shell command with a variable
!echo {x} $x
#### os.system
import os
os.system('exit 2')
#### bash
%%bash
echo one
echo two >&2
#### writefile and run
%%writefile helper_module.py
value = 42
print('imported')
#### a module beside the notebook
import helper_module
helper_module.value
#### run a file
%run helper_module.py
#### capture
%%capture caught
print('hidden')
display(1)
#### what was captured
caught.stdout, len(caught.outputs)
#### html, latex, markdown
from IPython.display import HTML, Latex, Markdown
display(HTML('<b>x</b>'), Latex('$x$'))
Markdown('*y*')
#### raw image bytes
from IPython.display import Image
Image(b'\x89PNG\r\n\x1a\n' + b'0' * 16 + b'\0\0\0\1\0\0\0\1')
#### json
from IPython.display import JSON
JSON({'a': [1, None, 2.5]})
#### an object with many forms
class Rich:
    def _repr_html_(self):
        return '<i>r</i>'
    def __repr__(self):
        return 'r'
Rich()
#### an error in a form
class Broken:
    def _repr_html_(self):
        raise ValueError('form')
    def __repr__(self):
        return 'b'
Broken()
#### an error in repr
class Worse:
    def __repr__(self):
        raise ValueError('repr')
Worse()
#### clear_output
from IPython.display import clear_output
print('gone')
clear_output()
print('stays')
#### clear_output that waits
for i in range(3):
    clear_output(wait=True)
    print(i)
#### update_display
h = display('first', display_id=True)
h.update('second')
print('done')
#### a warning
import warnings
warnings.warn('careful')
#### a deprecation in the notebook
warnings.warn('old', DeprecationWarning)
#### a warning only once
def w():
    warnings.warn('once')
w()
w()
#### logging
import logging
logging.warning('logged'); logging.info('not shown')
#### a thread that prints
import threading
t = threading.Thread(target=print, args=('thread',))
t.start(); t.join()
#### an error in a thread
t = threading.Thread(target=f, args=(0,))
t.start(); t.join()
#### a plot
%matplotlib inline
import matplotlib.pyplot as plt
plt.plot([1, 3, 2]); plt.title('$x^2$')
plt.show()
#### a plot shown at the end
fig, ax = plt.subplots(figsize=(3, 2))
ax.bar([1, 2], [3, 4])
print('text first')
#### two figures
for i in range(2):
    plt.figure(figsize=(2, 1))
    plt.plot([i, 1])
#### layouts
fig, axes = plt.subplots(2, 2, layout="constrained", figsize=(5, 4))
fig.suptitle("above")
fig.colorbar(axes[0, 0].imshow([[1, 2], [3, 4]]), ax=axes[0, 0])
axes[1, 1].plot([1, 4, 2], label="a long label")
axes[1, 1].legend(loc="best")
#### a tight layout
fig, axes = plt.subplots(1, 3, figsize=(5, 2))
for ax in axes:
    ax.hist([1, 2, 2, 3]); ax.set_ylabel("count")
plt.tight_layout()
#### three dimensions and a table of styles
with plt.style.context("ggplot"):
    ax = plt.figure(figsize=(3, 3)).add_subplot(projection="3d")
    ax.plot([0, 1], [1, 0], [0, 1])
    plt.show()
    plt.figure(facecolor="none", figsize=(2, 2)); plt.text(0.5, 0.5, "transparent")
#### an animation that is never shown
from matplotlib.animation import FuncAnimation
fig, ax = plt.subplots(figsize=(2, 1))
(line,) = ax.plot([0, 1], [0, 1])
movie = FuncAnimation(fig, lambda i: line.set_data([0, 1], [0, i]), frames=3)
#### and is thrown away
del movie, _
import gc
gc.collect();
#### figures that stay open
%config InlineBackend.close_figures = False
fig, ax = plt.subplots(figsize=(2, 1))
ax.plot([1, 2])
#### and are shown again when they change
ax.set_title("later")
#### and are closed in the end
%config InlineBackend.close_figures = True
plt.close("all")
#### a figure as the result
fig
#### an error in drawing
plt.figure(figsize=(2, 1)); plt.title('$\\frac$')
#### a figure after an error
plt.figure(figsize=(2, 1))
1 / 0
#### figures are closed
plt.get_fignums()
#### retina
%config InlineBackend.figure_formats = ['svg']
'set'
#### numbers
import numpy as np
np.arange(6).reshape(2, 3) / 3
#### seeded numbers
np.random.seed(3)
np.random.rand(2)
#### the shell
get_ipython().__class__.__name__, get_ipython().execution_count
#### help is for a front end
len?
#### an unknown magic
%nosuchmagic
#### an unknown cell magic
%%nosuchmagic
x
#### a magic used wrongly
%cd /no/such/folder
#### main
__name__, type(__builtins__).__name__, sys.modules['__main__'].x
#### source of a function
import inspect
print(inspect.getsource(f))
#### pickle
import pickle
pickle.loads(pickle.dumps(MyError('p'))).args
#### a process pool
from multiprocessing import get_context
with get_context('fork').Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
#### a tuple of streams
sys.stdout.isatty(), sys.stdout.encoding, hasattr(sys.stdout, 'buffer'), sys.stdout.writable()
#### writing what is no text
sys.stdout.write(3)
#### progress
from tqdm import tqdm
for _ in tqdm(range(2), file=sys.stdout, bar_format='{n}'):
    pass
#### a progress bar for notebooks
from tqdm.auto import tqdm as bar
for _ in bar(range(2)):
    pass
#### a widget
import ipywidgets
slider = ipywidgets.IntSlider(3)
display(slider)
slider.value
#### torch
import torch
torch.manual_seed(0)
torch.rand(2)
#### threads of torch
torch.get_num_threads()
#### C code that writes
import ctypes
libc = ctypes.CDLL(None)
libc.puts(b'from C')
libc.fflush(None)
import time
time.sleep(0.3)
#### a child that writes
import subprocess
subprocess.run(['echo', 'child'])
time.sleep(0.3)
#### time
%%time
None
#### timeit
r = %timeit -o -q -n1 -r1 1
type(r).__name__
#### a fork
pid = os.fork()
if pid == 0:
    os._exit(7)
os.waitpid(pid, 0)[1] >> 8
#### reset
%reset -f
'x' in dir()
#### print without a line's end
print('end', end='')
""")

# Run with a limit of a second each.
SLOW = _cells(r"""
#### nothing slow
import asyncio, os, subprocess, time
#### a loop
print('begins')
while True:
    pass
#### a sleep
time.sleep(30)
#### os.system
os.system('sleep 30')
#### a child
subprocess.run(['sleep', '30'])
#### an interrupt that is caught
try:
    time.sleep(30)
except KeyboardInterrupt:
    print('caught')
#### what comes after
print('next')
1 + 1
""")
