"""Workers never hear Ctrl-C, not even while they import what they need, and end with who began them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from featkit.workers import deaf

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signals to keep back")

DEAF = """
import signal
from joblib import Parallel, delayed
from featkit.parts import pool
from featkit.workers import results

def is_deaf(*_):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

"""


def output_of(code: str) -> str:
    """What Python prints in a process where no helper of workers runs yet."""
    return subprocess.run([sys.executable, "-c", DEAF + code], capture_output=True, text=True, check=True).stdout


def test_workers_are_deaf_from_their_first_moment() -> None:
    code = "print(*results(Parallel(2, return_as='generator'), (delayed(is_deaf)() for _ in range(4))), is_deaf())"
    assert output_of(code) == "True True True True False\n"


def test_one_process_alone_is_deaf_too() -> None:
    assert output_of("pool.do = is_deaf\nprint(*pool.alone([1, 2]), is_deaf())") == "True True False\n"


def test_without_workers_no_helper_is_begun() -> None:
    code = """
from multiprocessing import resource_tracker
print(*results(Parallel(1, return_as="generator"), [delayed(is_deaf)()]), resource_tracker._resource_tracker._fd)
"""
    assert output_of(code) == "False None\n"


def test_ctrl_c_meanwhile_comes_after() -> None:
    done = []

    def begin() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        done.append("what was begun")

    with pytest.raises(KeyboardInterrupt), deaf():
        begin()
    assert done == ["what was begun"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_ctrl_c_that_another_thread_hears_comes_after_too() -> None:
    """A terminal sends it to the process; NumPy's threads, which nobody makes deaf, take it."""
    done, other = [], threading.Thread(target=time.sleep, args=(0.5,))
    other.start()

    def begin() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        done.append("what was begun")

    with pytest.raises(KeyboardInterrupt), deaf():
        begin()
    other.join()
    assert done == ["what was begun"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_workers_end_with_who_began_them_however_that_ends() -> None:
    code = """
import os, time

def nap(seconds):
    time.sleep(seconds)
    return os.getpid()

for found in results(Parallel(2, return_as="generator"), (delayed(nap)(n) for n in (0.2, 0.2, 60, 60))):
    print(found, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF + code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    workers = [int(process.stdout.readline()) for _ in range(2)]
    assert process.pid not in workers
    process.kill()
    process.wait()  # not for the end of its output, which is that of the workers, too
    process.stdout.close()
    deadline = time.monotonic() + 10
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(process.pid) == []


def alive(leader: int) -> list[str]:
    """Processes of a group."""
    found = subprocess.run(["ps", "-eo", "pid,pgid,stat"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()[1:]]
    return [pid for pid, group, state in rows if int(group) == leader and not state.startswith("Z")]


def test_results_that_nobody_wants_end_without_a_word() -> None:
    code = "found = results(Parallel(2, return_as='generator'), (delayed(is_deaf)() for _ in range(99)))"
    code += "\nprint(next(found))\nimport warnings; warnings.simplefilter('error')\nfound.close()\nprint('ended')"
    assert output_of(code) == "True\nended\n"


def test_ctrl_c_while_workers_are_begun_ends_them_without_a_word() -> None:
    code = """
import os, time, warnings
from featkit import workers

warnings.simplefilter("error")

def tasks():
    os.kill(os.getpid(), signal.SIGINT)  # waits until all workers are begun
    for _ in range(9):
        yield delayed(time.sleep)(60)

try:
    list(results(Parallel(2, return_as="generator"), tasks()))
except KeyboardInterrupt:
    print("Stopped.")
"""
    assert output_of(code) == "Stopped.\n"
