"""Progress bars in a notebook: text where ipywidgets is not installed, without a warning."""

import subprocess
import sys

KERNEL = """
import sys, types
sys.modules["ipykernel.zmqshell"] = types.ModuleType("zmqshell")  # by which tqdm knows a notebook
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=object)
sys.modules["ipywidgets"] = None  # as if it were not installed
import importlib.util
here = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "ipywidgets" else here(name, *more)
from gatewright.tools import progress_bar
with progress_bar(total=2) as bar:
    bar.update(2)
import tqdm.std
assert not hasattr(tqdm.std.TqdmDefaultWriteLock, "mp_lock")  # a semaphore that outlives a worker that is ended
"""


def test_a_notebook_without_widgets_gets_text():
    done = subprocess.run([sys.executable, "-c", KERNEL], capture_output=True, text=True, check=False)
    assert (done.returncode, "2/2" in done.stderr, "Warning" in done.stderr) == (0, True, False), done.stderr
