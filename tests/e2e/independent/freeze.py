"""The server is stopped for longer than DeadPeerTimeout. Clients that are there stay connected and are found; one that vanished
meanwhile is found no more after its time."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.environ["INTROD_CASES"])
from rtmfp import Client, chunk

DEAD_PEER_TIMEOUT = 20
PING = 0x01


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


folder = tempfile.TemporaryDirectory()
adaptor = pathlib.Path(folder.name, "_defaultRoot_", "Adaptor.xml")
adaptor.parent.mkdir()
keepalive = "<Server>10</Server><Peers>10</Peers>"
adaptor.write_text(
    f"<Adaptor><RTMFP><KeepAliveTime><NoNAT>{keepalive}</NoNAT><NAT>{keepalive}</NAT></KeepAliveTime>"
    f"<DeadPeerTimeout>{DEAD_PEER_TIMEOUT}</DeadPeerTimeout></RTMFP></Adaptor>"
)
port = free_port()
server = subprocess.Popen(
    [os.environ["INTROD"], "run", "--conf", folder.name, "--listen", f"127.0.0.1:{port}"],
    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
)
try:
    assert "listens" in server.stdout.readline()
    uri = f"rtmfp://127.0.0.1:{port}/any/room"
    speaking, listening, vanishing = Client(), Client(), Client()
    for client in (speaking, listening, vanishing):
        answer = client.connect(("127.0.0.1", port), uri)
        assert answer and answer[2] == "_result", answer

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
    server.send_signal(signal.SIGSTOP)
    frozen = time.time()
    go_on(DEAD_PEER_TIMEOUT + 8)
    server.send_signal(signal.SIGCONT)
    go_on(3)
    assert not speaking.closed and not listening.closed, "closed after the freeze"
    assert is_found(listening), "a client that is there is not found after the freeze"
    end = time.time() + 2 * DEAD_PEER_TIMEOUT
    while is_found(vanishing):
        assert time.time() < end, "a client that vanished during the freeze is still found"
        go_on(1)
    assert not speaking.closed and not listening.closed and is_found(listening)
    print(f"stayed through a freeze of {DEAD_PEER_TIMEOUT + 8} s; the vanished one went {time.time() - frozen:.0f} s after it began")
finally:
    server.kill()
    server.wait()
