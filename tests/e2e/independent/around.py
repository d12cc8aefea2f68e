"""A client that shares no code with introd looks for a peer whose application forbids it, as a client of other applications and of none.

Arguments: the library of the plugin lookup-filter. Exits with 0 if no client gets round the policies, and if clients that may meet do.
"""
import os
import sys
import time

from stage import DEADLINE, Client, Server, check, connected, find, hellos, judge, root, write
from rtmfp import chunk, opt, vlu

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


def visitor(path):
    """A client of that path, or nothing if the server does not take it; with no path one that only asks."""
    client = Client()
    if path is None:
        client.server = server.address
        return client
    answer = client.connect(server.address, server.uri + path, app=path)
    return client if answer and answer[2] == "_result" else None


def is_found(asker, target):
    return any(asker.lookup(target.id, timeout=0.4) for _ in range(3))


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
server = Server("--conf", root / "conf")
try:
    for application in ["scripted", "filtered"]:
        target = connected(server, f"{application}/room", seed=target.seed)
        for path in PATHS + [f"{application}/room"]:
            asker = visitor(path)
            check(f"no client gets round the policy of {application}/room as a client of {path}", not asker or not is_found(asker, target))
        target.pump(0.3)
        check(f"the target in {application}/room is told of no asker", not hellos(target))
        target.close()
        target.pump(0.2)

    for path in NO_PATHS:
        answer = Client().connect(server.address, server.uri + "x", app=path)
        refused = answer and answer[2] == "_error" and answer[5]["code"] in (
            "NetConnection.Connect.InvalidApp", "NetConnection.Connect.Rejected",
        )
        check(f"{path!r} is refused, not answered with {answer}", refused)

    # The same hello, as initiators repeat it, is one question to the target's script.
    slow, asker = connected(server, "slow/room"), connected(server, "plain/room")
    epd, tag = opt(0x0f, bytes.fromhex(slow.id)), os.urandom(16)
    for _ in range(20):
        asker.startup(server.address, chunk(0x30, vlu(len(epd)) + epd + tag))
    question = f"<<asked about {slow.id} by plain/room>>"
    end = time.time() + DEADLINE
    while time.time() < end and question not in server.logged():
        slow.pump(0.1)
    slow.pump(0.5)
    asked = server.logged().count(question)
    check(f"the script is asked once, not {asked} times", asked == 1)

    # No client is kept from peers that may be met.
    free, asker = connected(server, "plain/room"), connected(server, "own/room")
    check("a peer that nothing guards is found", find(asker, free) and find(visitor(None), free))
finally:
    status = server.stop(20)
check(f"the server ends with status {status}", status == 0)
judge(server)
print("no way round")
