"""Slow calls at one application, and the reload of many instances of another, hold up no third on the same thread of scripts.

Arguments: how many slow calls (default 100), how many instances (default 40). Prints the victim's times, in milliseconds. A server
that lets one application take the thread fails: a lookup of its victim is not answered within five seconds.
"""
import signal
import sys
import threading
import time

from stage import REDIRECTING, Server, connected, root, write

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
SETTINGS = """<Application>
  <ScriptEngine><MaxTimeOut>0.2</MaxTimeOut></ScriptEngine>
  <RTMFP><PeerLookupEvents mode="All"/></RTMFP>
</Application>"""


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


write(root / "conf/Server.xml", "<Root><Server><ScriptThreads>1</ScriptThreads></Server></Root>")
write(root / "conf/_defaultRoot_/_defaultVHost_/Vhost.xml", f"<VirtualHost><AppsDir>{root}/apps</AppsDir></VirtualHost>")
for name, script in (("slow", SLOW), ("many", MANY), ("quick", REDIRECTING)):
    write(root / f"apps/{name}/main.lua", script)
    write(root / f"apps/{name}/Application.xml", SETTINGS)
server = Server("--conf", root / "conf")
stop = threading.Event()
try:
    asker, target = connected(server, "quick"), connected(server, "quick")
    measure("idle", asker, target)

    caller = connected(server, "slow")
    for _ in range(CALLS):
        caller.call("slow")
    caller.pump(0.3)
    times = measure(f"during {CALLS} slow calls", asker, target)
    began = time.time()
    connected(server, "quick/other")
    print(f"during the same: a connect takes {(time.time() - began) * 1000:.0f} ms")
    assert times[-1] < float("inf"), "every lookup is answered"

    crowd = [connected(server, f"many/{number}") for number in range(INSTANCES)]
    threading.Thread(target=keep, args=(crowd, stop), daemon=True).start()
    server.process.send_signal(signal.SIGHUP)
    times = measure(f"while {INSTANCES} instances are loaded anew", asker, target)
    assert times[-1] < float("inf"), "every lookup is answered"
    began = time.time()
    connected(server, "many/0")
    print(f"after that: a connect to one of them takes {(time.time() - began) * 1000:.0f} ms")
finally:
    stop.set()
    status = server.stop(60)
print("\n".join(line for line in server.logged().split("\n") if "more than its share" in line))
assert status == 0, status
