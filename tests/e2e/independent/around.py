"""A client that shares no code with introd looks for a peer whose application forbids it, as a client of other applications and of none.

Arguments: the library of the plugin lookup-filter. Exits with 0 if nobody gets round the policies, and if those meet who may.
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.environ["INTROD_CASES"])
from rtmfp import Client, chunk, opt, vlu

SCRIPT = """
function application.onPeerLookup(event)
    trace("<<asked about " .. event.targetPeerID .. " by " .. tostring(event.initiatorApplication) .. ">>")
    if application.name == "slow/room" then sleep(1000000) end
    application.denyPeerLookup(event)
end
"""
ALL = '<RTMFP><PeerLookupEvents mode="All"/></RTMFP>'
# How the asker gets to the server: another application, another instance, other spellings of the target's path, none at all.
PATHS = [
    "plain/room", "scripted/other", "Scripted/room", "SCRIPTED/room", "scripted%20/room", "scripted./room", "scripted ", "/",
    "//scripted//room/", "scripted/room/", "scripted/room?x=y", "scripted/room#x", "own/room", None,
]
# Paths that name no application at all.
NO_PATHS = ["scripted%00/room", "scripted\x00/room", "scripted/../plain", "scripted/%2e%2e/plain", "scripted\\room",
            "scripted%2Froom", "scripted%5croom", "scripted/r\noom", "scripted%0a/room", "scripted%ff/room"]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def connected(path, app=None):
    """A client of that path, or nothing if the server does not take it; with no path one that only asks."""
    client = Client()
    if path is None:
        client.server = server_address
        return client
    answer = client.connect(server_address, f"rtmfp://127.0.0.1:{port}/{path}", app=path if app is None else app)
    client.answer = answer
    return client if answer and answer[2] == "_result" else None


def is_found(asker, target):
    return any(asker.lookup(target.id, timeout=0.4) for _ in range(3))


root = pathlib.Path(tempfile.mkdtemp())
write(root / "conf/_defaultRoot_/_defaultVHost_/Vhost.xml", f"<VirtualHost><AppsDir>{root}/apps</AppsDir></VirtualHost>")
target = Client()
rule = f'<rule action="deny" target="{target.id}"/>'
plugin = f'<Plugins><Plugin path="{sys.argv[1]}"><Config>{rule}</Config></Plugin></Plugins>'
deadline = "<Policy><Deadline>60000</Deadline></Policy>"
for name, settings in [("scripted", ALL), ("filtered", plugin), ("slow", ALL + deadline)]:
    write(root / f"apps/{name}/Application.xml", f"<Application>{settings}</Application>")
for name in ["scripted", "slow"]:
    write(root / f"apps/{name}/main.lua", SCRIPT)
write(root / "apps/own/main.lua", "")
port = free_port()
server_address = ("127.0.0.1", port)
log = open(root / "log", "wb+")
server = subprocess.Popen(
    [os.environ["INTROD"], "run", "--listen", f"127.0.0.1:{port}", "--conf", str(root / "conf")],
    stdout=subprocess.PIPE, stderr=log, text=True,
)
failed = []
try:
    assert "listens" in server.stdout.readline()
    for application in ["scripted", "filtered"]:
        seed = target.seed
        target = Client(seed=seed)
        answer = target.connect(server_address, f"rtmfp://127.0.0.1:{port}/{application}/room")
        assert answer and answer[2] == "_result", answer
        for path in PATHS + [f"{application}/room"]:
            asker = connected(path)
            if asker and is_found(asker, target):
                failed.append((application, path))
        target.pump(0.3)
        if any(event[1] == "fihello" for event in target.events):
            failed.append((application, "the target was told of an asker"))
        target.close()
        target.pump(0.2)

    for path in NO_PATHS:
        asker = Client()
        answer = asker.connect(server_address, f"rtmfp://127.0.0.1:{port}/x", app=path)
        if not answer or answer[2] != "_error" or answer[5]["code"] not in (
            "NetConnection.Connect.InvalidApp", "NetConnection.Connect.Rejected",
        ):
            failed.append((path, answer))

    # The same hello, as initiators repeat it, is one question to the target's script.
    slow, asker = connected("slow/room"), connected("plain/room")
    epd, tag = opt(0x0f, bytes.fromhex(slow.id)), os.urandom(16)
    for _ in range(20):
        asker.startup(server_address, chunk(0x30, vlu(len(epd)) + epd + tag))
    end = time.time() + 10
    asked = 0
    while time.time() < end and not asked:
        slow.pump(0.1)
        asked = (root / "log").read_text(errors="replace").count(f"<<asked about {slow.id} by plain/room>>")
    slow.pump(0.5)
    asked = (root / "log").read_text(errors="replace").count(f"<<asked about {slow.id} by plain/room>>")
    if asked != 1:
        failed.append(("the script was asked", asked))

    # Nobody is kept from those who may be met.
    free, asker = connected("plain/room"), connected("own/room")
    if not is_found(asker, free) or not is_found(connected(None), free):
        failed.append("an unguarded peer is not found")
finally:
    server.send_signal(signal.SIGTERM)
    status = server.wait(20)
text = (root / "log").read_text(errors="replace")
assert not failed, (failed, text[-4000:])
assert status == 0, status
print("no way round")
