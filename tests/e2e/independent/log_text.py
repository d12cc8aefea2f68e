"""What unknown senders send neither forges lines of the log nor floods it. Prints the log's size."""
from stage import Client, Server, connected, root, write
from rtmfp import cmd

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

write(root / "conf/_defaultRoot_/_defaultVHost_/Vhost.xml", f"<VirtualHost><AppsDir>{root}/lua</AppsDir></VirtualHost>")
write(root / "lua/club/main.lua", SCRIPT)
write(root / "lua/club/Application.xml", SETTINGS)
server = Server("--conf", root / "conf")
try:
    Client().connect(server.address, server.uri + "evil/" + EVIL[:400])
    Client().connect(server.address, server.uri + "evil", app=EVIL[:900])
    publisher = Client()
    publisher.connect(server.address, server.uri + "any")
    publisher.call("createStream", tx=2)
    publisher.pump(0.3)
    control = next(iter(publisher.flows_in))
    publisher.data(5, cmd("publish", 0, None, EVIL[:800], "live"), b"TC\x04\x01", assoc=control)
    publisher.call(EVIL[:500])
    publisher.setpeerinfo(EVIL[:300])
    publisher.pump(0.5)

    refused = Client().connect(server.address, server.uri + "club", args=("refused",))
    assert refused and refused[2] == "_error", refused
    caller = connected(server, "club", args=(EVIL[:700],))
    assert not caller.lookup("00" * 32)
    for number in range(CALLS):
        caller.call("fail", EVIL[:60])
        if number % 20 == 0:
            caller.pump(0.01)
    caller.pump(2)
finally:
    status = server.stop(30)
assert status == 0, status

# Whatever strangers send, the log is valid UTF-8.
lines = server.log.read_bytes().decode().split("\n")
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
for part in ("address=127.0.0.1:", "application=club ", "policy=\"script\"", " INFO "):
    assert part in refusal, refusal
denial = next(line for line in lines if "lookup refused" in line)
for part in ("address=127.0.0.1:", "application=club ", "policy=\"script\""):
    assert part in denial, denial
assert len(lines) < 1000, len(lines)
