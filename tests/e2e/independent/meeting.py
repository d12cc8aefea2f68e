"""Two clients that share no code with introd connect, and one finds the other: it is redirected, the other is told of it."""
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.environ["INTROD_CASES"])
from rtmfp import Client


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


port = free_port()
server = subprocess.Popen(
    [os.environ["INTROD"], "run", "--listen", f"127.0.0.1:{port}"],
    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
)
try:
    assert "listens" in server.stdout.readline()
    uri = f"rtmfp://127.0.0.1:{port}/any/room"
    asker, target = Client(), Client()
    for client in (asker, target):
        answer = client.connect(("127.0.0.1", port), uri)
        assert answer and answer[2] == "_result", answer
    redirect = []
    for _ in range(10):
        redirect = asker.lookup(target.id)
        if redirect:
            break
    assert redirect[0][1] == target.sock.getsockname()[1], redirect
    end = time.time() + 10
    while time.time() < end and not any(event[1] == "fihello" for event in target.events):
        target.pump(0.1)
    hello = next(event for event in target.events if event[1] == "fihello")
    assert hello[2][1] == asker.sock.getsockname()[1], hello
    print("met")
finally:
    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == 0
