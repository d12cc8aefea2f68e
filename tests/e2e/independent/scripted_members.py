"""A script publishes the members of groups for other servers. A process takes the place of its own, and a client that came over leaves.

Arguments: the URL of a Redis, the path of the registry's plugin, and the folder of the application. Exits with 0 if newcomers at both servers
are named who is there, and not who has left.
"""
import shutil
import sys
import time

from stage import DEADLINE, Server, check, connected, judge, root, write
from rtmfp import gdigest, hints, join

REDIS, PLUGIN, APPLICATION = sys.argv[1:]
SOCKET = root / "takeover"


def started(name, *arguments, before=None):
    conf = root / name / "conf"
    if not conf.exists():
        shutil.copytree(APPLICATION, root / name / "lua/groups")
        write(
            conf / "Server.xml",
            f'<Root><Server><PeerRegistry><Plugin path="{PLUGIN}"><Config><url>{REDIS}</url><server>{name}</server></Config></Plugin>'
            "</PeerRegistry></Server></Root>",
        )
    return Server("--conf", conf, *arguments, before=before)


def member(server):
    client = connected(server, "groups")
    join(client, gdigest("chess"))
    return client


def named(client, others):
    """Whom a member is told of, once it is told of somebody."""
    end = time.time() + DEADLINE
    while not hints(client) and time.time() < end:
        client.pump(0.1)
        for other in others:
            other.pump(0.05)
    client.pump(1)
    return set(hints(client))


a, b = started("a", f"--takeover={SOCKET}"), started("b")
leaving = member(a)
leaving.pump(1)
staying = member(b)
check("they are told of each other", named(staying, [leaving]) == {leaving.id})
after = started("a", f"--takeover={SOCKET}", before=a)
a.process.wait(DEADLINE)
leaving.pump(1)
check("the session goes on", not leaving.closed)
leaving.close()
leaving.pump(0.5)
time.sleep(1)
for number, server in enumerate([after, b]):
    newcomer = member(server)
    told = named(newcomer, [staying])
    check(f"newcomer {number} is told of who is there, not of who has left: {told}", leaving.id not in told and staying.id in told)
check("both stop", [after.stop(20), b.stop(20)] == [0, 0])
judge(after, b)
