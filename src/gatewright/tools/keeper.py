"""Two pipes and a command in; its end and CPU seconds out, and all its processes ended when the first pipe closes.

`tools/processes.py` runs this file as a program, `python -I -S keeper.py FD CPU COMMAND...`: FD is the end to read of a
pipe whose other end only the caller has. The system closes that one when the caller ends, be it killed, so nothing that
the command started works on unseen. Into CPU go the seconds that the command took (user + system), its children's
included, when all of it has ended. Imports nothing of the package: it has to start in milliseconds.
"""

from __future__ import annotations

import os
import select
import signal
import sys

NOT_STARTED = 127
TO_DEFAULT = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, which a command would inherit


def main(leash: int, argv: list[str]) -> int:
    """Run argv in a process group of its own until it ends or the leash closes; return what waitpid gives."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        child = os.posix_spawnp(argv[0], argv, os.environ, setpgroup=0, setsigdef=TO_DEFAULT)
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]!r}: {error.strerror}\n")
        return NOT_STARTED << 8
    while True:
        ready = select.select([leash, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended or leash in ready:
            break
    try:  # noqa: SIM105 -- contextlib takes as long to import as all the rest
        os.killpg(child, signal.SIGKILL)  # also what a command that has ended left behind
    except OSError:  # where nothing is left
        pass
    return status if ended else os.waitpid(child, 0)[1]


def tell_cpu(pipe: int) -> None:
    """Write the CPU seconds of all children that have ended."""
    times = os.times()
    os.write(pipe, f"{times.children_user + times.children_system:.2f}".encode())
    os.close(pipe)


def end_as(status: int) -> None:
    """End this process as that of a waitpid status did: with its code, or by its signal."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.stderr.flush()
    os._exit(abs(code))


if __name__ == "__main__":
    ended_as = main(int(sys.argv[1]), sys.argv[3:])
    tell_cpu(int(sys.argv[2]))
    end_as(ended_as)
