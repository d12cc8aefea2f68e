"""The server is stopped for longer than DeadPeerTimeout. Clients that are there stay connected and are found; one that vanished
meanwhile is no longer found after its timeout.

    freeze.py [SECONDS]     for how long the server is stopped
"""
import signal
import sys
import time

from stage import Server, connected, root, write
from rtmfp import chunk

DEAD_PEER_TIMEOUT = 20
FREEZE = int(sys.argv[1]) if len(sys.argv) > 1 else DEAD_PEER_TIMEOUT + 8
PING = 0x01

keepalive = "<Server>10</Server><Peers>10</Peers>"
write(
    root / "conf/_defaultRoot_/Adaptor.xml",
    f"<Adaptor><RTMFP><KeepAliveTime><NoNAT>{keepalive}</NoNAT><NAT>{keepalive}</NAT></KeepAliveTime>"
    f"<DeadPeerTimeout>{DEAD_PEER_TIMEOUT}</DeadPeerTimeout></RTMFP></Adaptor>",
)
server = Server("--conf", root / "conf")
speaking, listening, vanishing = connected(server), connected(server), connected(server)


def go_on(seconds):
    end, said = time.time() + seconds, 0
    while time.time() < end:
        if time.time() - said > 5:
            speaking.sess(chunk(PING, b""))
            said = time.time()
        speaking.pump(0.05)
        listening.pump(0.05)


def is_found(target):
    return any(speaking.lookup(target.id) for _ in range(3))


assert is_found(listening) and is_found(vanishing)
server.process.send_signal(signal.SIGSTOP)
frozen = time.time()
go_on(FREEZE)
server.process.send_signal(signal.SIGCONT)
go_on(3)
assert not speaking.closed and not listening.closed, "closed after the freeze"
assert is_found(listening), "a client that is there is not found after the freeze"
end = time.time() + 2 * DEAD_PEER_TIMEOUT
while is_found(vanishing):
    assert time.time() < end, "a client that vanished during the freeze is still found"
    go_on(1)
assert not speaking.closed and not listening.closed and is_found(listening)
print(f"stayed through a freeze of {FREEZE} s; the vanished one went {time.time() - frozen:.0f} s after it began")
