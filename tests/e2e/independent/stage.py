"""What the programs beside this module share: they start a server, connect clients that share no code with it, and judge what they see.

INTROD names the server's program, and INTROD_CASES the folder of the client, `rtmfp.py`. Only importing this module makes `rtmfp`
importable: programs import it first.
"""
import atexit
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.environ["INTROD_CASES"])
import rtmfp
from rtmfp import gdigest, join

INTROD = os.environ["INTROD"]
# In seconds: an upper bound for what takes some seconds at most, even on a busy computer.
DEADLINE = 60
# A script that redirects to the target by itself, so that each lookup costs a call of it.
REDIRECTING = """
function application.onPeerLookup(event)
    local client = application.clients[event.targetPeerID]
    if client then application.sendPeerRedirect({ client.farAddress }, event) end
end
"""

folder = tempfile.TemporaryDirectory()
# The place for configurations, applications and logs. It is removed when the program ends.
root = pathlib.Path(folder.name)
# What `check` and `until` have found wrong.
failed = []


# The sockets of all clients.
sockets = []


class Client(rtmfp.Client):
    """A client whose port no later client gets. At the port of a session that is still open, a server rejects the handshake of another
    client until it knows that the session is dead (RFC 7016 §3.5.1.1.2)."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        sockets.append(self.sock)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`introd run` with these arguments, at a port of its own or at that of `before`, a server whose place it takes. It listens once it is
    made, and is killed at the latest when the program ends."""

    def __init__(self, *arguments, before=None):
        self.port = before.port if before else free_port()
        self.address, self.uri = ("127.0.0.1", self.port), f"rtmfp://127.0.0.1:{self.port}/"
        self.log = root / f"{self.port}.log"
        # That of the server before is kept for its judge: both write to its end.
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [INTROD, "run", "--admin", "none", "--listen", f"127.0.0.1:{self.port}", *arguments], stdout=subprocess.PIPE, stderr=log, text=True,
            )
        atexit.register(self.process.kill)
        # A server that neither listens nor ends would keep the program waiting for ever.
        too_late = threading.Timer(DEADLINE, self.process.kill)
        too_late.start()
        try:
            line = None
            # The last line of those at the start: what comes next answers signals.
            while not line or "stop it with" not in line:
                line = self.process.stdout.readline()
                assert line, f"the server ends instead of serving: {self.logged()}"
        finally:
            too_late.cancel()
            too_late.join()

    def logged(self):
        return self.log.read_text(errors="replace")

    def stop(self, seconds):
        """Its exit status when told to end, or, if it has not ended after so many seconds, words that say so."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"none: still running {seconds} s after SIGTERM"


def connected(server, path="any/room", seed=None, **options):
    """A client that the server has accepted; the options are those of `Client.connect`."""
    client = Client(seed=seed)
    answer = client.connect(server.address, server.uri + path, **options)
    assert answer and answer[2] == "_result", answer
    return client


def find(asker, target):
    """The addresses that the asker is redirected to. It asks more than once, as a lookup may be lost or wait for its turn."""
    for _ in range(20):
        redirect = asker.lookup(target.id, timeout=0.5)
        if redirect:
            return redirect
    raise AssertionError("a peer that is there is not found")


def ports_of(asker, server, peer):
    """The ports that one lookup is answered with; none if it is not answered."""
    return {port for _, port, *_ in asker.lookup(peer, server=server.address, timeout=0.7)}


def hellos(client):
    """The events that tell a client of others who look for it."""
    return [event for event in client.events if event[1] == "fihello"]


class Living:
    """A client that answers whatever comes, in a thread of its own, until it vanishes or leaves."""

    def __init__(self, server, seed=None, group=None):
        self.client = connected(server, "live", seed)
        if group:
            join(self.client, gdigest(group))
        self.port = self.client.sock.getsockname()[1]
        self.id = self.client.id
        self.ends = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ends:
            self.client.pump(0.05)

    def vanish(self):
        """It says nothing more: its computer is off."""
        self.ends = True
        self.thread.join()
        self.client.sock.close()

    def leave(self):
        self.ends = True
        self.thread.join()
        self.client.close()
        self.client.pump(0.2)
        self.client.sock.close()


def check(what, holds):
    """Notes what does not hold and goes on, so that one run shows all of it: `judge` ends the program."""
    if not holds:
        failed.append(what)


def until(what, test):
    """Checks that something holds in the end."""
    began = time.time()
    while not test():
        if time.time() - began > DEADLINE:
            failed.append(what)
            return
    print(f"{what}: after {time.time() - began:.1f} s")


def judge(*servers):
    """Ends the program if any check has failed, with what the servers logged."""
    if failed:
        for server in servers:
            print(server.logged()[-6000:])
        sys.exit("\n".join(f"FAILED: {what}" for what in failed))
