"""Slow calls at one application, and the reload of many instances of another, hold up no third on the same thread of scripts.

Arguments: how many slow calls (default 100), how many instances (default 40). Prints the victim's times, in milliseconds. A server
that lets one application take the thread fails: a lookup of its victim is not answered within five seconds.
"""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.environ["INTROD_CASES"])
from rtmfp import Client

CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
INSTANCES = int(sys.argv[2]) if len(sys.argv) > 2 else 40
LOOKUPS = 15

SLOW = """
function Client:slow()
    for i = 1, 1e9 do end
end
"""
MANY = """
local ballast = {}
for i = 1, 2000 do ballast[i] = { i } end
"""
QUICK = """
function application.onPeerLookup(event)
    local client = application.clients[event.targetPeerID]
    if client then application.sendPeerRedirect({ client.farAddress }, event) end
end
"""
SETTINGS = """<Application>
  <ScriptEngine><MaxTimeOut>0.2</MaxTimeOut></ScriptEngine>
  <RTMFP><PeerLookupEvents mode="All"/></RTMFP>
</Application>"""


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def connected(address, uri):
    client = Client()
    answer = client.connect(address, uri)
    assert answer and answer[2] == "_result", answer
    return client


def measure(what, asker, target, count=LOOKUPS):
    times = []
    for _ in range(count):
        began = time.time()
        found = asker.lookup(target.id, timeout=5)
        times.append((time.time() - began) * 1000 if found else float("inf"))
    times.sort()
    print(f"{what}: lookups take {times[len(times) // 2]:.1f} ms (median), {times[-1]:.1f} ms (longest)", flush=True)
    return times


def keep(clients, stop):
    while not stop.is_set():
        for client in clients:
            client.pump(0)
        time.sleep(0.2)


with tempfile.TemporaryDirectory() as folder:
    port = free_port()
    conf = os.path.join(folder, "conf")
    write(os.path.join(conf, "Server.xml"), "<Root><Server><ScriptThreads>1</ScriptThreads></Server></Root>")
    write(os.path.join(conf, "_defaultRoot_", "_defaultVHost_", "Vhost.xml"),
          f"<VirtualHost><AppsDir>{folder}/apps</AppsDir></VirtualHost>")
    for name, script in (("slow", SLOW), ("many", MANY), ("quick", QUICK)):
        write(os.path.join(folder, "apps", name, "main.lua"), script)
        write(os.path.join(folder, "apps", name, "Application.xml"), SETTINGS)
    with open(os.path.join(folder, "log"), "wb") as log:
        server = subprocess.Popen([os.environ["INTROD"], "run", "--conf", conf, "--listen", f"127.0.0.1:{port}"],
                                  stdout=subprocess.PIPE, stderr=log, text=True)
    stop = threading.Event()
    try:
        while "stop it with" not in server.stdout.readline():
            assert server.poll() is None, open(os.path.join(folder, "log")).read()
        address, uri = ("127.0.0.1", port), f"rtmfp://127.0.0.1:{port}/"
        asker, target = connected(address, uri + "quick"), connected(address, uri + "quick")
        measure("idle", asker, target)

        caller = connected(address, uri + "slow")
        for _ in range(CALLS):
            caller.call("slow")
        caller.pump(0.3)
        times = measure(f"during {CALLS} slow calls", asker, target)
        began = time.time()
        connected(address, uri + "quick/other")
        print(f"during the same: a connect takes {(time.time() - began) * 1000:.0f} ms")
        assert times[-1] < float("inf"), "every lookup is answered"

        crowd = [connected(address, f"{uri}many/{number}") for number in range(INSTANCES)]
        threading.Thread(target=keep, args=(crowd, stop), daemon=True).start()
        server.send_signal(signal.SIGHUP)
        times = measure(f"while {INSTANCES} instances are loaded anew", asker, target)
        assert times[-1] < float("inf"), "every lookup is answered"
        began = time.time()
        connected(address, f"{uri}many/0")
        print(f"after that: a connect to one of them takes {(time.time() - began) * 1000:.0f} ms")
    finally:
        stop.set()
        server.send_signal(signal.SIGTERM)
        status = server.wait(60)
    text = open(os.path.join(folder, "log"), errors="replace").read()
    print("\n".join(line for line in text.split("\n") if "more than its share" in line))
    assert status == 0, status
