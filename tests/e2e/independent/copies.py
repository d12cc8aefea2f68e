"""Three servers share a registry. A client that shares no code with introd shows at one server an id that a client of another
server holds, and clients go from one server to another without closing their sessions.

Arguments: the URL of a Redis, and the path of the registry's plugin. Exits with 0 if no client loses its id to a copy while it lives, at its
own server or at a third one, and who has moved is found where it is.
"""
import sys
import time

from stage import DEADLINE, Client, Living, Server, check, judge, ports_of, root, until, write

REDIS, PLUGIN = sys.argv[1:]
# Longer than a client may be silent before a lookup makes the server ping it, and the time to answer.
WATCHED = 10


def started(name):
    conf = root / name / "conf"
    write(
        conf / "Server.xml",
        f'<Root><Server><PeerRegistry><Plugin path="{PLUGIN}"><Config><url>{REDIS}</url><server>{name}</server></Config></Plugin>'
        "</PeerRegistry></Server></Root>",
    )
    # Longer than `until` waits, so that no session's timeout brings about what is waited for.
    write(conf / "_defaultRoot_/Adaptor.xml", "<Adaptor><RTMFP><DeadPeerTimeout>120</DeadPeerTimeout></RTMFP></Adaptor>")
    return Server("--workers", "2", "--conf", conf)


asker = Client()


def found(server, peer):
    """The ports of clients that a server sends an asker to, which is a client of none."""
    return ports_of(asker, server, peer) - {server.port for server in servers}


a, b, c = servers = [started(name) for name in "abc"]
try:
    victim = Living(a)
    until("a third server finds the victim", lambda: found(c, victim.id) == {victim.port})
    copy = Living(b, seed=victim.client.seed)
    ends, answers = time.time() + WATCHED, 0
    # On a busy computer the answer to a lookup may come too late to be seen.
    while time.time() < ends or (answers <= 5 and time.time() < ends + DEADLINE):
        for server in (a, c):
            at = found(server, victim.id)
            answers += bool(at)
            check(f"the victim is found while a copy is at another server, not {at}", at in ({victim.port}, set()))
        # No lookup asks for it for longer than it may be silent.
        time.sleep(0.5)
    check("lookups were answered", answers > 5)
    copy.leave()
    for server in servers:
        until("the victim is found at every server when the copy is gone", lambda: found(server, victim.id) == {victim.port})
    # When the victim has left, the client that waits at another server is found.
    copy = Living(b, seed=victim.client.seed)
    victim.leave()
    for server in servers:
        until("one who lives elsewhere is found when the holder has left", lambda: found(server, copy.id) == {copy.port})
    copy.leave()
    # A client moves without closing its session, and is found where it is as soon as a lookup has asked for it where it was.
    old = Living(a)
    until("the client is found", lambda: found(c, old.id) == {old.port})
    old.vanish()
    new = Living(b, seed=old.client.seed)
    until("one that has moved is found by its old server", lambda: found(a, new.id) == {new.port})
    for server in servers:
        until("one that has moved is found", lambda: found(server, new.id) == {new.port})
    new.leave()
finally:
    statuses = [server.stop(30) for server in servers]
check(f"the servers end with status {statuses}", statuses == [0, 0, 0])
judge(*servers)
