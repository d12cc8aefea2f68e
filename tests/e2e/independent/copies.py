"""Three servers share a registry. A client that shares no code with introd shows at one server an id that a client of another
server holds, and clients go from one server to another without a word.

Arguments: the URL of a Redis, and the path of the registry's plugin. Exits with 0 if nobody loses an id to a copy while it lives, at its
own server or at a third one, and who has moved is found where it is.
"""
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
from rtmfp import Client

REDIS, PLUGIN = sys.argv[1:]
# An upper bound for what takes some seconds: machines are slow at times. Sessions time out later than that.
DEADLINE = 60
# Longer than a client may be silent before it is asked for a sign of life when somebody looks for it, and the time to answer.
WATCHED = 10


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, root, name):
        self.port = free_port()
        self.address, self.uri = ("127.0.0.1", self.port), f"rtmfp://127.0.0.1:{self.port}/live"
        conf = root / name / "conf"
        (conf / "_defaultRoot_").mkdir(parents=True)
        (conf / "Server.xml").write_text(
            f'<Root><Server><PeerRegistry><Plugin path="{PLUGIN}"><Config><url>{REDIS}</url><server>{name}</server></Config></Plugin>'
            "</PeerRegistry></Server></Root>"
        )
        (conf / "_defaultRoot_/Adaptor.xml").write_text(
            "<Adaptor><RTMFP><DeadPeerTimeout>120</DeadPeerTimeout></RTMFP></Adaptor>"
        )
        self.log = open(root / f"{name}.log", "wb")
        self.process = subprocess.Popen(
            [os.environ["INTROD"], "run", "--listen", f"127.0.0.1:{self.port}", "--workers", "2", "--conf", str(conf)],
            stdout=self.log, stderr=self.log,
        )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Living:
    """A client that answers whatever comes, in a thread of its own, until it vanishes or leaves."""

    def __init__(self, server, seed=None):
        self.client = Client(seed=seed)
        end = time.time() + DEADLINE
        while True:
            try:
                answer = self.client.connect(server.address, server.uri, timeout=5)
                break
            except TimeoutError:
                assert time.time() < end, "no server"
        assert answer and answer[2] == "_result", answer
        self.port = self.client.sock.getsockname()[1]
        self.id = self.client.id
        self.ends = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ends:
            self.client.pump(0.05)

    def vanish(self):
        self.ends = True
        self.thread.join()
        self.client.sock.close()

    def leave(self):
        self.ends = True
        self.thread.join()
        self.client.close()
        self.client.pump(0.2)
        self.client.sock.close()


asker = Client()


def found(server, peer):
    """The ports of clients that a server sends an asker to, which is a client of none."""
    servers = {server.port for server in (a, b, c)}
    return {port for _, port, *_ in asker.lookup(peer, server=server.address, timeout=0.7)} - servers


def until(what, test):
    began = time.time()
    while not test():
        if time.time() - began > DEADLINE:
            failed.append(what)
            return
    print(f"{what}: after {time.time() - began:.1f} s")


def check(what, holds):
    if not holds:
        failed.append(what)


root = pathlib.Path(tempfile.mkdtemp())
a, b, c = servers = [Server(root, name) for name in "abc"]
failed = []
try:
    victim = Living(a)
    until("a third server finds the victim", lambda: found(c, victim.id) == {victim.port})
    copy = Living(b, seed=victim.client.seed)
    ends, answers = time.time() + WATCHED, 0
    while time.time() < ends:
        for server in (a, c):
            at = found(server, victim.id)
            answers += bool(at)
            check(f"the victim is found while a copy is at another server, not {at}", at in ({victim.port}, set()))
        # Nobody looks for it for longer than it need not speak.
        time.sleep(0.5)
    check("lookups were answered", answers > 5)
    copy.leave()
    for server in servers:
        until("the victim is found at every server when the copy is gone", lambda: found(server, victim.id) == {victim.port})
    # When the victim has left, whoever waits elsewhere is found.
    copy = Living(b, seed=victim.client.seed)
    victim.leave()
    for server in servers:
        until("one who lives elsewhere is found when the holder has left", lambda: found(server, copy.id) == {copy.port})
    copy.leave()
    # A client moves without a word, and is found where it is as soon as somebody has looked for it where it was.
    old = Living(a)
    until("the client is found", lambda: found(c, old.id) == {old.port})
    old.vanish()
    new = Living(b, seed=old.client.seed)
    until("one that has moved is found by its old server", lambda: found(a, new.id) == {new.port})
    for server in servers:
        until("one that has moved is found", lambda: found(server, new.id) == {new.port})
    new.leave()
finally:
    for server in servers:
        server.stop()
if failed:
    for server in servers:
        print((root / f"{server.log.name}").read_text()[-4000:])
    sys.exit(f"failed: {failed}")
