"""What is counted in; a progress bar out: a widget in a notebook that has widgets, text everywhere else."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import Any


def progress_bar(**options: Any) -> Any:
    """Return a bar of tqdm with its options. A notebook without ipywidgets gets text, and no warning of that.

    tqdm's own lock is one between processes, which a worker that is ended leaves behind, with a warning of that.
    """
    if find_spec("ipywidgets") is None:
        from tqdm.std import tqdm
    else:
        from tqdm.auto import tqdm
    if not hasattr(tqdm, "_lock"):
        tqdm.set_lock(threading.RLock())
    return tqdm(**options)
