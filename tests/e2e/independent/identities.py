"""A client that shares no code with introd shows ids that belong to others, and clients vanish without a word.

Exits with 0 if nobody loses an id to a copy while it lives, who comes back is found, and the members of groups that live are named
before those that do not.
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
from rtmfp import Client, gdigest, hints, join

KEEPALIVE = "<KeepAliveTime><NoNAT><Server>5</Server></NoNAT><NAT><Server>5</Server></NAT></KeepAliveTime>"
# An upper bound for what takes some seconds: machines are slow at times.
DEADLINE = 60


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Living:
    """A client that answers whatever comes, in a thread of its own, until it vanishes or leaves."""

    def __init__(self, seed=None, group=None):
        self.client = Client(seed=seed)
        answer = self.client.connect(server_address, uri)
        assert answer and answer[2] == "_result", answer
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

    def hellos(self):
        return sum(event[1] == "fihello" for event in self.client.events)


def ports_of(asker, peer):
    return {port for _, port, *_ in asker.lookup(peer, timeout=0.7)}


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
adaptor = root / "conf/_defaultRoot_/Adaptor.xml"
adaptor.parent.mkdir(parents=True)
adaptor.write_text(f"<Adaptor><RTMFP>{KEEPALIVE}<DeadPeerTimeout>120</DeadPeerTimeout></RTMFP></Adaptor>")
port = free_port()
server_address, uri = ("127.0.0.1", port), f"rtmfp://127.0.0.1:{port}/live"
log = open(root / "log", "wb+")
server = subprocess.Popen(
    [os.environ["INTROD"], "run", "--listen", f"127.0.0.1:{port}", "--workers", "2", "--conf", str(root / "conf")],
    stdout=log, stderr=log,
)
failed = []
try:
    asker = Client()
    began = time.time()
    while time.time() - began < DEADLINE:
        try:
            asker.connect(server_address, uri, timeout=2)
            break
        except TimeoutError:
            pass
    # A copy is connected, and not found; neither its coming nor its going is felt.
    victim = Living(group="club")
    until("the victim is found", lambda: ports_of(asker, victim.id) == {victim.port})
    copies = [Living(seed=victim.client.seed, group="club") for _ in range(3)]
    before, ends = victim.hellos(), time.time() + 6
    while time.time() < ends:
        found = ports_of(asker, victim.id)
        check(f"the victim is found while copies are there, not {found}", found in ({victim.port}, set()))
    check("the victim gets the hellos", victim.hellos() > before and not any(copy.hellos() for copy in copies))
    copies.pop().leave()
    copies.pop().vanish()
    check("the victim is found when a copy has gone", ports_of(asker, victim.id) == {victim.port})
    member = Living(group="club")
    until("a newcomer is told of the victim", lambda: victim.id in hints(member.client))
    # The last copy lives: it has the id when the victim has left it.
    copy = copies.pop()
    victim.leave()
    until("one who waits is found when the holder has left", lambda: ports_of(asker, copy.id) == {copy.port})
    second = Living(group="club")
    until("one who waited is in the group when the holder has left", lambda: copy.id in hints(second.client))
    # Who vanishes and comes back is found.
    copy.vanish()
    again = Living(seed=copy.client.seed)
    until("one who came back with the same certificate is found", lambda: ports_of(asker, again.id) == {again.port})
    again.leave()
    # Members that have vanished come last.
    living = [Living(group="ghosts") for _ in range(4)]
    dead = [Living(group="ghosts") for _ in range(24)]
    for ghost in dead:
        ghost.vanish()

    def is_told_of_the_living_first():
        newcomer = Living(group="ghosts")
        began = time.time()
        while len(hints(newcomer.client)) < 6 and time.time() - began < DEADLINE:
            time.sleep(0.05)
        told = hints(newcomer.client)
        newcomer.leave()
        return {member.id for member in living} == set(told[:len(living)])

    until("a newcomer is told of the living first", is_told_of_the_living_first)
    log.seek(0)
    lines = [line for line in log.read().decode("utf8", "replace").splitlines() if "shows the id of another" in line]
    check(f"the log says who shows the id of whom: {lines}", lines and f"127.0.0.1:{victim.port}" in lines[0])
finally:
    server.send_signal(signal.SIGTERM)
    status = server.wait(60)
check(f"the server ends with status {status}", status == 0)
for what in failed:
    print("FAILED:", what)
if failed:
    log.seek(0)
    print(log.read().decode("utf8", "replace")[-6000:])
sys.exit(bool(failed))
