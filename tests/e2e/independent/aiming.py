"""A client tries to make others, and the server, send packets to victims of its choice: it reports their addresses as its own, again
and again; and it asks for one peer from many addresses, so that the server forwards all those hellos to that peer."""
import os
import socket
import time

from stage import DEADLINE, Server, connected, find, hellos
from rtmfp import DEF, chunk, opt, seal, vlu

server = Server()
try:
    asker, attacker = connected(server), connected(server)

    # Each report is told to others, if it comes to anything: here by the advice on keepalives that answers it.
    advised = lambda: sum(1 for event in attacker.events if event[1] == "msg" and event[2] == 4)

    def pump_until(what, holds):
        end = time.time() + DEADLINE
        while not holds():
            assert time.time() < end, what
            attacker.pump(0.1)

    # Sixteen ports of a victim, and then sixteen victims. What is private is the attacker's own affair.
    reported = [f"198.51.100.9:{number}" for number in range(1, 17)]
    for addresses in (reported, [f"198.51.100.{number}:5" for number in range(1, 17)]):
        before = advised()
        attacker.setpeerinfo(*addresses[:14], "192.168.7.7:50001")
        pump_until("the report is taken", lambda: advised() > before)
        redirect = find(asker, attacker)
        victims = [address for address in redirect if address[0].startswith("198.51.100.")]
        print("aimed at:", victims)
        assert 1 <= len(victims) <= 3, redirect
        ports = {}
        for ip, number, _ in victims:
            ports[ip] = ports.get(ip, 0) + 1
        assert max(ports.values()) <= 2, redirect
        assert ("192.168.7.7", 50001) in [address[:2] for address in redirect], redirect

    began, before = time.time(), advised()
    for number in range(300):
        attacker.setpeerinfo(f"192.168.7.7:{50001 + number}")
        if number % 20 == 19:
            attacker.pump(0.02)
    pump_until("all reports arrive", lambda: not attacker.retrans)
    is_last = lambda: ("192.168.7.7", 50300) in [address[:2] for address in find(asker, attacker)]
    pump_until("the last one counts", is_last)
    passed_on, elapsed = advised() - before, time.time() - began
    print(f"reports passed on: {passed_on} of 300 in {elapsed:.1f} s")
    assert 1 <= passed_on <= 8 + elapsed / 2 + 1

    # A flood of lookups for one peer, from many addresses.
    target = connected(server)
    target.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sources = []
    for _ in range(200):
        source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        source.bind(("127.0.0.1", 0))
        sources.append(source)
    began, sent, epd = time.time(), 0, opt(0x0F, bytes.fromhex(target.id))
    while time.time() < began + 2:
        for source in sources:
            body = b"\x0b\0\0" + chunk(0x30, vlu(len(epd)) + epd + os.urandom(16))
            source.sendto(seal(0, DEF, body), server.address)
            sent += 1
        target.pump(0.02)
    target.pump(1)
    elapsed = time.time() - began
    forwarded = len(hellos(target))
    print(f"hellos for one peer: {sent} in {elapsed:.1f} s, forwarded: {forwarded}")
    assert 1 <= forwarded <= 64 + 20 * elapsed + 1
    # Who looks for it is told where it is, all the same.
    assert find(asker, target)
    print("aimed at nobody")
finally:
    status = server.stop(30)
assert status == 0, status
