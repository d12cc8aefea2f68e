"""Two clients that share no code with introd connect, and one finds the other: it is redirected, the other is told of it."""
import time

from stage import DEADLINE, Server, connected, find, hellos

server = Server()
try:
    asker, target = connected(server), connected(server)
    redirect = find(asker, target)
    assert redirect[0][1] == target.sock.getsockname()[1], redirect
    end = time.time() + DEADLINE
    while time.time() < end and not hellos(target):
        target.pump(0.1)
    hello = hellos(target)[0]
    assert hello[2][1] == asker.sock.getsockname()[1], hello
    print("met")
finally:
    status = server.stop(20)
assert status == 0, status
