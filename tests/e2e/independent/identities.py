"""A client that shares no code with introd shows ids that belong to others, and clients vanish without closing their sessions.

Exits with 0 if no client loses its id to a copy while it lives, a client that comes back is found, and the members of groups that live are named
before those that do not.
"""
import time

from stage import DEADLINE, Living, Server, check, connected, hellos, judge, ports_of, root, until, write
from rtmfp import hints

KEEPALIVE = "<KeepAliveTime><NoNAT><Server>5</Server></NoNAT><NAT><Server>5</Server></NAT></KeepAliveTime>"

# DeadPeerTimeout is longer than `until` waits, so that no session's timeout brings about what is waited for.
write(
    root / "conf/_defaultRoot_/Adaptor.xml",
    f"<Adaptor><RTMFP>{KEEPALIVE}<DeadPeerTimeout>120</DeadPeerTimeout></RTMFP></Adaptor>",
)
server = Server("--workers", "2", "--conf", root / "conf")


def ports(peer):
    return ports_of(asker, server, peer)


try:
    asker = connected(server, "live")
    # A copy is connected, and not found; neither its coming nor its going is felt.
    victim = Living(server, group="club")
    until("the victim is found", lambda: ports(victim.id) == {victim.port})
    copies = [Living(server, seed=victim.client.seed, group="club") for _ in range(3)]
    before, ends = len(hellos(victim.client)), time.time() + 6
    while time.time() < ends:
        found = ports(victim.id)
        check(f"the victim is found while copies are there, not {found}", found in ({victim.port}, set()))
    check("the victim gets the hellos", len(hellos(victim.client)) > before and not any(hellos(copy.client) for copy in copies))
    copies.pop().leave()
    copies.pop().vanish()
    until("the victim is found when a copy has gone", lambda: ports(victim.id) == {victim.port})
    member = Living(server, group="club")
    until("a newcomer is told of the victim", lambda: victim.id in hints(member.client))
    # The last copy lives: it has the id when the victim has left it.
    copy = copies.pop()
    victim.leave()
    until("one who waits is found when the holder has left", lambda: ports(copy.id) == {copy.port})
    second = Living(server, group="club")
    until("one who waited is in the group when the holder has left", lambda: copy.id in hints(second.client))
    # Who vanishes and comes back is found.
    copy.vanish()
    again = Living(server, seed=copy.client.seed)
    until("one who came back with the same certificate is found", lambda: ports(again.id) == {again.port})
    again.leave()
    # Members that have vanished come last.
    living = [Living(server, group="ghosts") for _ in range(4)]
    dead = [Living(server, group="ghosts") for _ in range(24)]
    for ghost in dead:
        ghost.vanish()

    def is_told_of_the_living_first():
        newcomer = Living(server, group="ghosts")
        began = time.time()
        while len(hints(newcomer.client)) < 6 and time.time() - began < DEADLINE:
            time.sleep(0.05)
        told = hints(newcomer.client)
        newcomer.leave()
        return {member.id for member in living} == set(told[:len(living)])

    until("a newcomer is told of the living first", is_told_of_the_living_first)
    lines = [line for line in server.logged().splitlines() if "shows the peer id of another client" in line]
    check(f"the log says who shows the id of whom: {lines}", lines and f"127.0.0.1:{victim.port}" in lines[0])
finally:
    status = server.stop(60)
check(f"the server ends with status {status}", status == 0)
judge(server)
