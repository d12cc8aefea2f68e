"""A client holds back what it sends at barriers (Flow Synchronization, RFC 7425 section 5.2), as much as it may and at as many as it
may, and goes on sending. Another one connects and looks a peer up all the while: it is served, whatever the first one does.

The times are printed, before the attack and during it; INTROD names the program, so that two of them can be compared."""
import os
import signal
import struct
import sys
import time

from stage import Server, connected, find
from rtmfp import chunk, vlu

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 4
ATTACKERS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
FLOWS = 56


def sync(number, count):
    return b"\x04\0\0\0\0" + struct.pack(">HII", 34, number, count)


class Attacker:
    """Some 300 kB in a second: barriers, packed into packets, on flows that wait."""

    def __init__(self, server):
        self.client = connected(server)
        control = [flow for flow, state in self.client.flows_in.items() if state[1][:2] == b"TC"][0]
        self.flows = {}
        for flow in range(10, 10 + FLOWS):
            self.client.data(flow, sync(flow, 2), b"TC\x04\x00", assoc=control)
            self.flows[flow] = 1
        self.client.pump(0.3)
        self.sent = 0

    def packet(self):
        """Messages on one flow after the other: a whole fragment each, the first with its number and the others following it."""
        flow = min(self.flows, key=self.flows.get)
        body = b""
        for place in range(50):
            self.flows[flow] += 1
            # Barriers of its own, so that all of them have to be given up again and again.
            message = sync(flow << 20 | self.flows[flow], 2)
            if place == 0:
                number = self.flows[flow]
                body += chunk(0x10, b"\0" + vlu(flow) + vlu(number) + vlu(1) + message)
            else:
                body += chunk(0x11, b"\0" + message)
        self.client.sess(body)
        self.sent += len(body)


def measure(server, target, seconds, between):
    """The times of connects and lookups for so long."""
    connects, lookups = [], []
    end = time.time() + seconds
    while time.time() < end:
        began = time.time()
        prober = connected(server, timeout=20, peerinfo=None)
        connects.append(time.time() - began)
        between()
        began = time.time()
        find(prober, target)
        lookups.append(time.time() - began)
        prober.close()
        between()
    return connects, lookups


def told(what, times):
    times = sorted(1000 * each for each in times)
    return f"{what}: {len(times)}, p50 {times[len(times) // 2]:.0f} ms, most {times[-1]:.0f} ms"


server = Server("--workers", "1")
children = []
started, starts = os.pipe()
try:
    target = connected(server)
    before = measure(server, target, SECONDS / 2, lambda: target.pump(0.01))
    for _ in range(ATTACKERS):
        child = os.fork()
        if child != 0:
            children.append(child)
            continue
        # A process of its own, so that it goes on while the prober waits.
        try:
            attacker = Attacker(server)
            while not attacker.client.closed:
                for _ in range(4):
                    attacker.packet()
                if starts is not None:
                    os.write(starts, b".")
                    starts = None
                attacker.client.pump(0.01)
        finally:
            os._exit(0)
    # The attack has begun.
    for _ in children:
        assert os.read(started, 1)
    during = measure(server, target, SECONDS, lambda: target.pump(0.01))
    for name, (connects, lookups) in (("before", before), ("during", during)):
        print(name, "the attack:", told("connects", connects) + ";", told("lookups", lookups))
    print("served")
finally:
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    status = server.stop(30)
assert status == 0, status
