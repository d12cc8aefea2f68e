"""Binds sockets as systemd does for a socket unit, and becomes a program that is passed them.

usage: activate.py KIND,KIND... PROGRAM ARGUMENT...

Kinds: `udp`, `again` (another socket with the address of the last one), `tcp` (it listens) and `file` (no socket at all). In the arguments,
{0} stands for the address of the first one, and so on.
"""

import os
import socket
import sys

kinds, program = sys.argv[1].split(","), sys.argv[2:]
address, sockets, names = ("127.0.0.1", 0), [], []
for kind in kinds:
    if kind == "file":
        sockets.append(open("/dev/null"))
        names.append("no address")
        continue
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(address if kind == "again" else ("127.0.0.1", 0))
    if kind == "tcp":
        made.listen()
    else:
        address = made.getsockname()
    sockets.append(made)
    names.append("%s:%d" % made.getsockname())

# Moved out of the way first: a descriptor may have the number that another one is to have.
high = [os.dup2(made.fileno(), 100 + index) for index, made in enumerate(sockets)]
for index, descriptor in enumerate(high):
    os.dup2(descriptor, 3 + index, inheritable=True)
    os.close(descriptor)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join(kinds))
os.execv(program[0], [argument.format(*names) for argument in program])
