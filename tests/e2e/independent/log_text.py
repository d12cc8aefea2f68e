"""What strangers say neither forges lines of the log nor floods it. Prints the log's size."""
import os
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.environ["INTROD_CASES"])
from rtmfp import Client, cmd

EVIL = "a\n2026-01-01T00:00:00Z ERROR introd: FORGED \x1b[31mred\x1b[0m \u202e\x9b1m" + "x" * 20000
CALLS = 3000

SETTINGS = "<Application><RTMFP><PeerLookupEvents mode='All'/></RTMFP></Application>"
SCRIPT = """
function application.onPeerLookup(event)
    application.denyPeerLookup(event)
end

function application.onConnect(client, name)
    trace("connecting", name)
    if name == "refused" then
        application.rejectConnection(client, "not today")
        return false
    end
    function client:fail(text)
        error("failed: " .. tostring(text))
    end
    return true
end
"""


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


with tempfile.TemporaryDirectory() as folder:
    port = free_port()
    conf = os.path.join(folder, "conf")
    vhost = os.path.join(conf, "_defaultRoot_", "_defaultVHost_")
    application = os.path.join(folder, "lua", "club")
    os.makedirs(vhost)
    os.makedirs(application)
    with open(os.path.join(vhost, "Vhost.xml"), "w") as file:
        file.write(f"<VirtualHost><AppsDir>{folder}/lua</AppsDir></VirtualHost>")
    with open(os.path.join(application, "main.lua"), "w") as file:
        file.write(SCRIPT)
    with open(os.path.join(application, "Application.xml"), "w") as file:
        file.write(SETTINGS)
    log = os.path.join(folder, "log")
    with open(log, "wb") as out:
        server = subprocess.Popen([os.environ["INTROD"], "run", "--conf", conf, "--listen", f"127.0.0.1:{port}"],
                                  stdout=subprocess.PIPE, stderr=out, text=True)
    try:
        while "stop it with" not in server.stdout.readline():
            assert server.poll() is None, open(log).read()
        address, uri = ("127.0.0.1", port), f"rtmfp://127.0.0.1:{port}/"

        Client().connect(address, uri + "evil/" + EVIL[:400])
        Client().connect(address, uri + "evil", app=EVIL[:900])
        publisher = Client()
        publisher.connect(address, uri + "any")
        publisher.call("createStream", tx=2)
        publisher.pump(0.3)
        control = next(iter(publisher.flows_in))
        publisher.data(5, cmd("publish", 0, None, EVIL[:800], "live"), b"TC\x04\x01", assoc=control)
        publisher.call(EVIL[:500])
        publisher.setpeerinfo(EVIL[:300])
        publisher.pump(0.5)

        refused = Client().connect(address, uri + "club", args=("refused",))
        assert refused and refused[2] == "_error", refused
        caller = Client()
        answer = caller.connect(address, uri + "club", args=(EVIL[:700],))
        assert answer and answer[2] == "_result", answer
        assert not caller.lookup("00" * 32)
        for number in range(CALLS):
            caller.call("fail", EVIL[:60])
            if number % 20 == 0:
                caller.pump(0.01)
        caller.pump(2)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    text = open(log, "rb").read().decode()

lines = text.split("\n")
assert lines.pop() == ""
for line in lines:
    assert "\x1b" not in line and "\u202e" not in line and "\x9b" not in line, line
    assert not line.startswith("2026-01-01T00:00:00Z ERROR introd: FORGED"), line
    assert len(line.encode()) < 4096, len(line)
failures = [line for line in lines if "failed: a" in line]
print(len(lines), "lines,", len(failures), "of failed calls")
assert 1 <= len(failures) <= 300, len(failures)
assert any("repeated" in line for line in failures), "the others are counted"
refusal = next(line for line in lines if "refused" in line and "not today" in line)
for part in ("address=127.0.0.1:", "app=club/", "policy=\"script\"", " INFO "):
    assert part in refusal, refusal
denial = next(line for line in lines if "lookup refused" in line)
for part in ("address=127.0.0.1:", "app=club/", "policy=\"script\""):
    assert part in denial, denial
assert len(lines) < 1000, len(lines)
