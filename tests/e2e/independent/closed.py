"""A broken Application.xml, or one with a plugin that cannot be loaded, never opens the application: at the start its clients are rejected
as AMS does it; at a reload the working configuration stays in force, whole, and the answer to SIGHUP says so."""
import signal
import subprocess

from stage import INTROD, Client, Server, connected, root, write

GOOD = "<Application><RTMFP><PeerLookupEvents mode='All'/></RTMFP></Application>"
# Lets in who knows the word.
SCRIPT = "function application.onConnect(client, word) return word == 'sesame' end\n"
SECRET = "hunter2"
NO_PLUGIN = "<Application><Plugins><Plugin path='libmissing.so'/></Plugins></Application>"
BROKEN = f"<Application><MaxAppIdleTime>{SECRET}</MaxAppIdleTime></Application>"


def reload(server):
    server.process.send_signal(signal.SIGHUP)
    return server.process.stdout.readline().strip()


def refusal(server, *words):
    """What the application tells a client that it does not let in."""
    answer = Client().connect(server.address, server.uri + "club", words)
    assert answer and answer[2] == "_error", answer
    info = answer[-1]
    assert info["code"] == "NetConnection.Connect.Rejected" and info["level"] == "error", answer
    assert SECRET not in info["description"], answer
    return info["description"]


def stopped(server):
    """What it has logged."""
    status = server.stop(20)
    assert status == 0, status
    return server.logged()


# Where applications are unless AppsDir says otherwise.
club = root / "lua/club"
settings, script = club / "Application.xml", club / "main.lua"
conf = root / "conf"
conf.mkdir()
write(script, SCRIPT)

for text, said in [(NO_PLUGIN, "application club rejects clients: "), (BROKEN, "rejects clients and lookups")]:
    write(settings, text)
    checked = subprocess.run([INTROD, "check-config", "--conf", conf], capture_output=True, text=True)
    assert checked.returncode != 0 and said in checked.stdout, checked
    server = Server("--conf", conf)
    for words in [(), ("sesame",)]:
        print("at the start:", refusal(server, *words))
    connected(server, "other")
    if text == NO_PLUGIN:
        log = stopped(server)
        assert "application club rejects clients: " in log and "libmissing.so" in log, log
# Once it is mended, a reload opens it.
write(settings, GOOD)
said = reload(server)
assert said == "introd has read its configuration anew", said
client = connected(server, "club", args=("sesame",))
refusal(server, "wrong")

for what, change in [
    ("broken", lambda: write(settings, BROKEN)),
    ("a plugin that is not there", lambda: write(settings, NO_PLUGIN)),
    ("gone", settings.unlink),
    ("a script that does not load", lambda: (write(settings, GOOD), write(script, "nonsense("))),
    ("all gone", lambda: (settings.unlink(), script.unlink(), club.rmdir())),
]:
    change()
    said = reload(server)
    print(what + ":", said)
    assert said.startswith("introd has read its configuration anew, except: application club keeps its old settings: "), said
    refusal(server, "wrong")
    # The script of the instance that is there still decides.
    connected(server, "club", args=("sesame",))
client.pump(0.1)
assert not client.closed
log = stopped(server)
# It does so at the start alone.
assert log.count("rejects clients and lookups") == 1, log
assert "club" in log and "MaxAppIdleTime" in log and "libmissing.so" in log, log
print("closed")
