"""Whatever becomes of its output, the server serves on, and stops when it is told to."""
import os
import pty
import resource
import signal
import subprocess
import tempfile
import time

from stage import INTROD, free_port
from rtmfp import Client


def wait_until_served(port):
    """Waits until clients can connect: the output of the server cannot say so."""
    for _ in range(30):
        if connects(port):
            return
    raise AssertionError("the server does not serve")


def connects(port):
    try:
        answer = Client().connect(("127.0.0.1", port), f"rtmfp://127.0.0.1:{port}/any/room", timeout=10)
    except TimeoutError:
        return False
    return bool(answer) and answer[2] == "_result"


def served_until_terminated(name, pid, port, wait):
    wait_until_served(port)
    # Each says something.
    os.kill(pid, signal.SIGHUP)
    for _ in range(3):
        assert connects(port), f"{name}: no service after the output was lost"
    os.kill(pid, signal.SIGTERM)
    assert wait() == 0, f"{name}: not an orderly stop"
    print(f"{name}: served on and stopped")


def child(name, stdout, stderr, spoil=lambda: None, close=(), before=None):
    port = free_port()
    server = subprocess.Popen([INTROD, "run", "--admin", "none", "--listen", f"127.0.0.1:{port}"], stdout=stdout, stderr=stderr,
                              env={**os.environ, "RUST_LOG": "trace"}, preexec_fn=before)
    for descriptor in close:
        os.close(descriptor)
    try:
        wait_until_served(port)
        spoil()
        served_until_terminated(name, server.pid, port, lambda: server.wait(30))
    finally:
        server.kill()
        server.wait()


def pipes_without_reader():
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    child("readers gone", out_end, err_end, lambda: (os.close(out), os.close(err)), (out_end, err_end))


def full_disk():
    full = os.open("/dev/full", os.O_WRONLY)
    child("full disk", full, full, close=(full,))


def file_at_its_limit():
    with tempfile.TemporaryFile() as log:
        child("file at its limit", log, log, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        assert os.fstat(log.fileno()).st_size == 4096


def pipes_not_read():
    out, out_end = os.pipe()
    os.set_blocking(out_end, False)
    os.write(out_end, b"x" * 65536)
    os.set_blocking(out_end, True)
    child("pipe not read", out_end, out_end, close=(out_end,))
    os.close(out)


def pipe_that_does_not_block():
    out, out_end = os.pipe()
    os.set_blocking(out_end, False)
    os.write(out_end, b"x" * 65536)
    child("pipe that would block", out_end, out_end, close=(out_end,))
    os.close(out)


def closed_descriptors():
    port = free_port()
    server = subprocess.Popen(["sh", "-c", f'exec "$0" run --listen 127.0.0.1:{port} <&- >&- 2>&-', INTROD])
    try:
        served_until_terminated("descriptors closed", server.pid, port, lambda: server.wait(30))
    finally:
        server.kill()
        server.wait()


def terminal_closed():
    port = free_port()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(INTROD, ["introd", "run", "--admin", "none", "--listen", f"127.0.0.1:{port}"])
    try:
        wait_until_served(port)
        os.close(terminal)
        served_until_terminated("terminal closed", pid, port, lambda: ended(pid))
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


def ended(pid):
    end = time.time() + 30
    while time.time() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    raise AssertionError("the server does not stop")


for case in (pipes_without_reader, full_disk, file_at_its_limit, pipes_not_read, pipe_that_does_not_block, closed_descriptors,
             terminal_closed):
    case()
