"""Many visits by one address to ever new instances of an application with a script, and as many clients that stay as it can have.

A server that bounds neither the instances nor what scripts use fails: its memory grows with the visits, or the victim, who comes from
another address and wants instances of its own, is rejected. Prints the server's memory, and how long the victim's connects and
lookups take.

Without --instances and --memory the configuration says nothing of them: the defaults hold, if the server has any.
"""
import argparse
import os
import threading
import time

from stage import DEADLINE, REDIRECTING, Server, root, write
from rtmfp import Client, chunk, cmd, opt, vlu

parser = argparse.ArgumentParser()
parser.add_argument("--visits", type=int, default=300)
parser.add_argument("--ballast", type=int, default=5000, help="tables that each script makes, of some 90 bytes")
parser.add_argument("--instances", type=int, help="MaxAppInstancesPerAddress")
parser.add_argument("--memory", type=int, help="MaxScriptMemory, in MB")
parser.add_argument("--growth", type=int, default=64, help="MB by which the server may grow")
parser.add_argument("--threads", type=int, default=8)
arguments = parser.parse_args()

ATTACKER, VICTIM = "127.0.0.1", "127.0.0.2"
CLUB = f"ballast = {{}} for i = 1, {arguments.ballast} do ballast[i] = {{ i }} end"


def element(name, value):
    return "" if value is None else f"<{name}>{value}</{name}>"


def enter(path, ip):
    """A client, and the description with which it was refused, if it was."""
    client = Client(bind=(ip, 0))
    client.open(server.address, server.uri + path, timeout=DEADLINE)
    about = {"app": path, "tcUrl": client.uri, "flashVer": "WIN 51,1,1,0", "objectEncoding": 0.0}
    client.data(2, cmd("connect", 1, about), b"TC\x04\x00")
    end = time.time() + DEADLINE
    while time.time() < end:
        client.pump(0.002)
        for event in client.events:
            if event[1] == "cmd" and event[2] in ("_result", "_error"):
                if event[2] == "_result":
                    return client, None
                assert event[-1]["code"] == "NetConnection.Connect.Rejected", event
                return client, event[-1]["description"]
    raise TimeoutError(f"no answer to a connect to {path}")


def leave(client):
    client.close()
    client.sock.close()


def lookup(asker, target):
    began = time.time()
    epd, tag = opt(0x0f, bytes.fromhex(target.id)), os.urandom(16)
    asker.want, asker.redirects = tag, []
    while not asker.redirects:
        assert time.time() - began < DEADLINE, "the victim's lookup is not answered"
        asker.startup(asker.server, chunk(0x30, vlu(len(epd)) + epd + tag))
        resend = time.time() + 1
        while not asker.redirects and time.time() < resend:
            asker.pump(0.002)
    return (time.time() - began) * 1000


def rss():
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


class Victim:
    """A client at another address, which looks up a peer and opens instances of its own."""

    def __init__(self):
        (self.asker, _), (self.target, _) = enter("quick/victim", VICTIM), enter("quick/victim", VICTIM)
        self.number = 0

    def probe(self, what, done=lambda: True, crowd=(), least=10):
        """Probes until it is done, and the crowd stays that long."""
        connects, lookups, peak = [], [], 0
        while not done() or len(connects) < least:
            began = time.time()
            client, refusal = enter(f"club/victim-{self.number}", VICTIM)
            assert refusal is None, f"{what}: the victim is refused: {refusal}"
            connects.append((time.time() - began) * 1000)
            self.number += 1
            leave(client)
            lookups.append(lookup(self.asker, self.target))
            stay([self.target, *crowd])
            peak = max(peak, rss())
            time.sleep(0.05)
        for name, times in (("connects", connects), ("lookups", lookups)):
            times.sort()
            print(f"{what}: {name} of the victim take {times[len(times) // 2]:.0f} ms (median of {len(times)}), "
                  f"{times[-1]:.0f} ms (longest)")
        print(f"{what}: the server has {peak:.0f} MB at most", flush=True)
        return peak


def visits(share, refusals):
    for number in share:
        client, refusal = enter(f"club/{number}", ATTACKER)
        if refusal is not None:
            refusals.append(refusal)
        leave(client)


def fill(ip, name, count):
    """As many clients as get in of so many, each in an instance of its own; and why the others do not."""
    inside, refusals = [], []
    for number in range(count):
        client, refusal = enter(f"club/{name}-{number}", ip)
        if refusal is None:
            inside.append(client)
        else:
            refusals.append(refusal)
            leave(client)
    return inside, refusals


def stay(clients):
    for client in clients:
        client.pump(0)


write(
    root / "conf/Server.xml",
    f"<Root><Server><ResourceLimits>{element('MaxScriptMemory', arguments.memory)}</ResourceLimits></Server></Root>",
)
write(
    root / "conf/_defaultRoot_/_defaultVHost_/Vhost.xml",
    f"<VirtualHost><AppsDir>{root}/apps</AppsDir>"
    f"<ResourceLimits>{element('MaxAppInstancesPerAddress', arguments.instances)}</ResourceLimits></VirtualHost>",
)
write(root / "apps/club/main.lua", CLUB)
write(root / "apps/quick/main.lua", REDIRECTING)
write(root / "apps/quick/Application.xml", '<Application><RTMFP><PeerLookupEvents mode="All"/></RTMFP></Application>')
server = Server("--conf", root / "conf")
try:
    victim = Victim()
    before = victim.probe("before")

    refusals = []
    shares = [range(first, arguments.visits, arguments.threads) for first in range(arguments.threads)]
    attack = [threading.Thread(target=visits, args=(share, refusals), daemon=True) for share in shares]
    began = time.time()
    for thread in attack:
        thread.start()
    peak = victim.probe("during the visits", lambda: not any(thread.is_alive() for thread in attack))
    print(f"{arguments.visits} visits in {time.time() - began:.0f} s, {len(refusals)} of them refused")
    peak = max(peak, victim.probe("after the visits"))
    assert peak - before < arguments.growth, f"it has grown from {before:.0f} MB to {peak:.0f} MB"

    if arguments.instances is not None:
        crowd, refusals = fill(ATTACKER, "stays", arguments.instances + 5)
        print(f"one address has {len(crowd)} instances with clients; then: {set(refusals)}")
        assert len(crowd) == arguments.instances and all("from your address" in text for text in refusals)
        peak = victim.probe("while they stay", crowd=crowd)
        assert peak - before < arguments.growth, f"it has grown from {before:.0f} MB to {peak:.0f} MB"
        if arguments.memory is not None:
            # From more and more addresses, until no script gets any memory.
            for host in range(3, 250):
                more, refusals = fill(f"127.0.0.{host}", f"stays-{host}", arguments.instances)
                crowd += more
                stay(crowd)
                if refusals:
                    break
            print(f"{host - 1} addresses have {len(crowd)} instances with clients; then: {set(refusals)}")
            assert refusals and all("no memory" in text for text in refusals)
            print(f"no lookup waits for that: {lookup(victim.asker, victim.target):.0f} ms")
            assert rss() - before < arguments.growth, f"it has grown from {before:.0f} MB to {rss():.0f} MB"
        for client in crowd:
            leave(client)
        # Their instances end now, before their time.
        end = time.time() + DEADLINE
        while (refused := enter(f"club/afterwards-{time.time()}", VICTIM))[1] is not None:
            assert time.time() < end, refused[1]
            time.sleep(0.1)
        victim.probe("when they have left")
finally:
    if server.process.poll() is None:
        print(f"at the end: the server has {rss():.0f} MB", flush=True)
    status = server.stop(DEADLINE)
text = server.logged()
assert status == 0, (status, text)
if arguments.instances is not None:
    assert "too many application instances from 127.0.0.1" in text, text
    assert "too many application instances from 127.0.0.2" not in text, text
if arguments.memory is not None:
    assert "MaxScriptMemory" in text, text
print("bounded")
