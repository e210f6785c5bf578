"""What every room shares: external programs and worker processes, whole files and folders, hashes.

No child outlives the process that started it, however that one ends; no file or folder is seen half-written.
"""

from gatewright.tools.arrays import COMPRESSIONS, DAMAGE, MAPPED_BYTES, load_npy, map_array, open_npz, open_stream
from gatewright.tools.cache import cache_folder
from gatewright.tools.extras import need
from gatewright.tools.files import (
    new_directory,
    no_room,
    remove,
    remove_leftovers,
    require_folder,
    unwritable,
    write_array,
    write_arrays,
    write_atomic,
    write_json,
)
from gatewright.tools.identity import digest, file_digest, package_version
from gatewright.tools.processes import ToolRun, end_tools, run_tool
from gatewright.tools.progress import progress_bar
from gatewright.tools.workers import WorkerPool

__all__ = [
    "COMPRESSIONS",
    "DAMAGE",
    "MAPPED_BYTES",
    "ToolRun",
    "WorkerPool",
    "cache_folder",
    "digest",
    "end_tools",
    "file_digest",
    "load_npy",
    "map_array",
    "need",
    "new_directory",
    "no_room",
    "open_npz",
    "open_stream",
    "package_version",
    "progress_bar",
    "remove",
    "remove_leftovers",
    "require_folder",
    "run_tool",
    "unwritable",
    "write_array",
    "write_arrays",
    "write_atomic",
    "write_json",
]
