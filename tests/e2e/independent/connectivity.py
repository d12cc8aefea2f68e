"""A client that shares no code with introd asks the server what it sees of the client's network, as an ActionScript program would."""
import time

from stage import DEADLINE, Server, connected
from rtmfp import cmd

NAMES = {
    "publicAddress", "publicPort", "family", "reportedAddresses", "behindNAT", "portPreserved", "nat", "relay", "relayMode", "problem", "advice",
}


def facts(client, transaction):
    client.data(2, cmd("introd.connectivity", transaction, None))
    end = time.time() + DEADLINE
    while time.time() < end:
        for event in client.events:
            if event[1] == "cmd" and event[2] in ("_result", "_error") and event[3] == transaction:
                assert event[2] == "_result", event
                return event[-1]
        client.pump(0.05)
    raise AssertionError(f"no answer comes: {client.events}")


def until(client, is_so, transaction):
    """Asks until the server has taken what the client reports."""
    end = time.time() + DEADLINE
    while True:
        told = facts(client, transaction)
        if is_so(told) or time.time() > end:
            return told
        transaction += 1
        client.pump(0.1)


server = Server()
try:
    client = connected(server, "key/room")
    port = client.sock.getsockname()[1]
    told = facts(client, 5)
    assert set(told) == NAMES, told
    assert (told["publicAddress"], told["publicPort"], told["family"]) == ("127.0.0.1", port, "IPv4"), told
    assert (told["reportedAddresses"], told["behindNAT"], told["nat"]) == (0, None, "unknown"), told
    assert told["problem"] == "noReportedAddresses" and told["advice"], told
    assert (told["relay"], told["relayMode"]) == (False, "None"), told

    # As behind a NAT that changes the port.
    client.setpeerinfo("10.0.0.7:7")
    told = until(client, lambda told: told["reportedAddresses"] == 1, 100)
    assert (told["behindNAT"], told["portPreserved"], told["problem"]) == (True, False, "portChanging"), told
    # And behind none.
    client.setpeerinfo("10.0.0.7:7", f"127.0.0.1:{port}")
    told = until(client, lambda told: told["reportedAddresses"] == 2, 1000)
    assert (told["behindNAT"], told["portPreserved"], told["nat"], told["problem"]) == (False, True, "none", None), told
    print("told")
finally:
    status = server.stop(20)
assert status == 0, status
