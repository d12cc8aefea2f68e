"""Clients that share no code with introd call each other by `relay`, as programs for Adobe's Cirrus do: AMF0 and AMF3, honest and hostile."""
import time

from stage import DEADLINE, Client, Server, connected
from rtmfp import a_num, a_str, cmd, vlu

AMF3_STRING, AMF3_BYTES = b"\x06", b"\x0c"


def amf3(marker, content):
    """A string or a byte array in AMF3, as an argument of a command of type 17."""
    return b"\x11" + marker + vlu(len(content) << 1 | 1) + content


def relay3(transaction, peer, *arguments):
    """The call as a client writes it that has chosen AMF3."""
    return b"\x11\0\0\0\0\0" + a_str("relay") + a_num(transaction) + b"\5" + a_str(peer) + b"".join(arguments)


def modern(path):
    """A client that has chosen AMF3."""
    client = Client()
    client.open(server.address, server.uri + path, timeout=DEADLINE)
    about = {"app": path, "tcUrl": client.uri, "flashVer": "WIN 51,1,1,0", "objectEncoding": 3.0}
    client.data(2, cmd("connect", 1, about), b"TC\x04\x00")
    assert wait(client, lambda event: event[2] == "_result", "the answer to connect")
    return client


def wait(client, is_wanted, what):
    """The first command that is wanted. It is taken out of the client's events."""
    end = time.time() + DEADLINE
    while time.time() < end:
        for event in client.events:
            if event[1] == "cmd" and is_wanted(event):
                client.events.remove(event)
                return event
        client.pump(0.05)
    raise AssertionError(f"{what} does not come: {client.events}")


def call(client, transaction, *arguments):
    client.data(2, cmd("relay", transaction, None, *arguments))


def called(client, sender):
    """The arguments of the next `onRelay`, which names the sender first."""
    event = wait(client, lambda event: event[2] == "onRelay", "onRelay")
    assert event[3:6] == (0.0, None, sender.id), event
    return event[6:]


def answer(client, transaction):
    """`called`, or why the other client was not called."""
    event = wait(client, lambda event: event[2] in ("_result", "_error") and event[3] == transaction, "an answer")
    if event[2] == "_result":
        return "called"
    if isinstance(event[-1], tuple):
        # The object has come in AMF3, which this client does not read: its strings are in it as they are.
        assert b"NetConnection.Call.Failed" in event[-1][2], event
        return event[-1][2].decode(errors="replace")
    assert event[-1]["code"] == "NetConnection.Call.Failed" and event[-1]["level"] == "error", event
    return event[-1]["description"]


server = Server("--workers", "2")
try:
    caller, other = connected(server, "key/one"), connected(server, "key/two")
    elsewhere = connected(server, "another-key")

    # As Adobe's example of a video phone does: an action and a name, without a responder.
    call(caller, 0, other.id, "invite", "Anna")
    assert called(other, caller) == ("invite", "Anna")
    call(other, 0, caller.id, "accept", "Bert")
    assert called(caller, other) == ("accept", "Bert")
    # With a responder, and with other values.
    call(caller, 5, other.id.upper(), 7.5, {"a": {"b": True}}, None)
    assert called(other, caller) == (7.5, {"a": {"b": True}}, None)
    assert answer(caller, 5) == "called"
    print("called")

    # Nobody is called from another application, and nobody learns there that a client is here.
    call(elsewhere, 6, other.id, "x")
    call(elsewhere, 7, "00" * 32, "x")
    reasons = {answer(elsewhere, 6), answer(elsewhere, 7)}
    assert reasons == {"No client of this application has that peer ID."}, reasons
    for transaction, arguments in enumerate([(), (5,), (None,), ("zz",), ({"a": 1},)], 10):
        call(elsewhere, transaction, *arguments)
        assert answer(elsewhere, transaction).startswith("The first argument of relay"), arguments
    # A client may call itself.
    call(caller, 20, caller.id, "echo")
    assert called(caller, caller) == ("echo",) and answer(caller, 20) == "called"

    # What is nested too deeply is not read; the client that sends it is served on.
    deep = b"\x14\0\0\0\0" + a_str("relay") + a_num(21) + b"\5" + a_str(other.id) + b"\3" + b"\0\1a\3" * 250
    caller.data(2, deep)
    call(caller, 22, other.id, "still here")
    assert answer(caller, 22) == "called" and called(other, caller) == ("still here",)

    # AMF3 at one end or at both.
    new = modern("key/three")
    new.data(2, relay3(30, other.id, amf3(AMF3_STRING, "grün".encode())))
    assert called(other, new) == ("grün",) and answer(new, 30) == "called"
    call(other, 31, new.id, "text", 5)
    event = wait(new, lambda event: event[2] == "onRelay", "onRelay")
    # The sender's id and the text come in AMF3: what follows the first is not read by this client.
    assert event[5][:2] == ("?", 0x11) and other.id.encode() in event[5][2] and b"text" in event[5][2], event
    assert answer(other, 31) == "called"
    new.data(2, relay3(32, other.id, amf3(AMF3_BYTES, b"\0\1\2")))
    assert "An argument cannot be written in AMF0" in answer(new, 32), "AMF0 has no byte arrays"

    # A flood is cut off for the one who makes it, and for nobody else.
    flooder, victim = connected(server, "key/flood"), connected(server, "key/victim")
    for transaction in range(100, 300):
        call(flooder, transaction, victim.id, "x" * 500)
        flooder.pump(0)
    outcomes = [answer(flooder, transaction) for transaction in range(100, 300)]
    assert outcomes[0] == "called" and "Too many calls of relay in a second." in outcomes, set(outcomes)
    call(caller, 40, victim.id, "through")
    assert answer(caller, 40) == "called"
    victim.pump(0.5)
    got = [event for event in victim.events if event[1] == "cmd" and event[2] == "onRelay"]
    assert any(event[5] == caller.id for event in got), got
    assert len(got) == outcomes.count("called") + 1, (len(got), outcomes.count("called"))
    assert not victim.closed and not flooder.closed
    print("cut off")

    # A client that is gone is called no more.
    other.close()
    end = time.time() + DEADLINE
    outcome = "called"
    transaction = 50
    while outcome == "called" and time.time() < end:
        transaction += 1
        call(caller, transaction, other.id, "x")
        outcome = answer(caller, transaction)
        time.sleep(0.1)
    assert outcome == "No client of this application has that peer ID.", outcome
finally:
    status = server.stop(20)
assert status == 0, status
