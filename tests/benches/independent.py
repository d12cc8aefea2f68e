#!/usr/bin/env python3
"""Loads a server by an RTMFP client that shares no code with introd, to compare with what `introd bench` reports. By hand, not in a test:

    INTROD_CASES=FOLDER tests/benches/independent.py lookups    HOST PORT PID [SECONDS] [WINDOW]
    INTROD_CASES=FOLDER tests/benches/independent.py handshakes HOST PORT PID [COUNT]

FOLDER has the client, `rtmfp.py`. PID is the server's process: the result is its CPU time for each operation. `introd bench lookups --window WINDOW`
and `introd bench handshakes --window 1` put the same load on the server.
"""
import glob, os, random, select, socket, sys, time

sys.path.insert(0, os.environ["INTROD_CASES"])
import rtmfp

TARGETS = 16


def cpu(pid):
    """CPU time of all threads of a process, in seconds."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path) as file:
            total += int(file.read().split()[0])
    return total / 1e9


def hello(peer):
    epd = rtmfp.opt(0x0F, bytes.fromhex(peer))
    return rtmfp.seal(0, rtmfp.DEF, b"\x0b\0\0" + rtmfp.chunk(0x30, rtmfp.vlu(len(epd)) + epd + os.urandom(16)))


def is_redirect(datagram):
    packet = rtmfp.unseal(rtmfp.DEF, datagram)
    return packet is not None and any(kind == 0x71 for kind, _ in rtmfp.chunks(packet))


def lookups(server, pid, seconds=3.0, window=8):
    """Keeps `window` lookups of connected peers under way, and counts the redirects."""
    uri = f"rtmfp://{server[0]}:{server[1]}/bench"
    targets = []
    for number in range(TARGETS):
        client = rtmfp.Client(bind=(f"127.0.3.{number + 1}", 0))
        client.connect(server, uri, peerinfo=())
        client.pump(0.1)
        targets.append(client)
    # Hellos are made before the clock starts: Python needs longer for one than the server for its answer.
    hellos = [hello(random.choice(targets).id) for _ in range(20_000)]
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.bind(("127.0.4.1", 0))
    done = sent = pending = 0
    before, begin = cpu(pid), time.time()
    while time.time() - begin < seconds:
        while pending < window:
            asker.sendto(hellos[sent % len(hellos)], server)
            sent, pending = sent + 1, pending + 1
        if not select.select([asker], [], [], 0.2)[0]:
            pending = 0
            continue
        datagram = asker.recv(2048)
        pending -= 1
        # Each thousandth is read whole: reading all would leave the server nothing to do.
        if done % 1000 == 0:
            assert is_redirect(datagram), "a lookup is answered by a redirect"
        done += 1
    elapsed, used = time.time() - begin, cpu(pid) - before
    print(f"{done} lookups of {sent} in {elapsed:.2f} s: {done / elapsed:.0f} a second, {used * 1e6 / done:.2f} us of server CPU each")


def handshakes(server, pid, count=300):
    """Opens sessions one after the other, each from another address, and closes each."""
    uri = f"rtmfp://{server[0]}:{server[1]}/bench"
    before, begin = cpu(pid), time.time()
    for number in range(count):
        client = rtmfp.Client(bind=(f"127.0.{5 + number // 250}.{number % 250 + 1}", 0))
        client.open(server, uri)
        client.close()
        client.sock.close()
    elapsed = time.time() - begin
    # Key pairs that the server makes ahead of time count as well.
    time.sleep(1)
    used = cpu(pid) - before
    print(f"{count} handshakes in {elapsed:.2f} s: {count / elapsed:.0f} a second, {used * 1e6 / count:.1f} us of server CPU each")


def main():
    work, host, port, pid, *more = sys.argv[1:]
    kinds = {"lookups": (lookups, (float, int)), "handshakes": (handshakes, (int,))}
    function, types = kinds[work]
    function((host, int(port)), int(pid), *(kind(text) for kind, text in zip(types, more)))


if __name__ == "__main__":
    main()
