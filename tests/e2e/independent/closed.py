"""A broken Application.xml, or one with a plugin that cannot be loaded, never opens the application: at the start its clients are turned away as AMS does it; at a reload the
working configuration stays in force, whole, and the answer to SIGHUP says so."""
import os
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.environ["INTROD_CASES"])
from rtmfp import Client

GOOD = "<Application><RTMFP><PeerLookupEvents mode='All'/></RTMFP></Application>"
# Lets in who knows the word.
SCRIPT = "function application.onConnect(client, word) return word == 'sesame' end\n"
SECRET = "hunter2"
NO_PLUGIN = "<Application><Plugins><Plugin path='libmissing.so'/></Plugins></Application>"
BROKEN = f"<Application><MaxAppIdleTime>{SECRET}</MaxAppIdleTime></Application>"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, root):
        self.root, self.port = root, free_port()
        self.log = open(os.path.join(root, "log"), "w+")
        self.process = subprocess.Popen(
            [os.environ["INTROD"], "run", "--listen", f"127.0.0.1:{self.port}", "--conf", os.path.join(root, "conf")],
            stdout=subprocess.PIPE, stderr=self.log, text=True,
        )
        for _ in range(3):
            assert self.process.stdout.readline()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)
        return self.process.stdout.readline().strip()

    def connect(self, app, *words):
        client = Client()
        answer = client.connect(("127.0.0.1", self.port), f"rtmfp://127.0.0.1:{self.port}/{app}", words)
        assert answer, app
        return client, answer

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0
        with open(os.path.join(self.root, "log")) as log:
            return log.read()


def is_refused(answer):
    info = answer[-1]
    assert answer[2] == "_error" and info["code"] == "NetConnection.Connect.Rejected" and info["level"] == "error", answer
    assert SECRET not in info["description"], answer
    return info["description"]


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


with tempfile.TemporaryDirectory() as root:
    club = os.path.join(root, "lua", "club")
    os.makedirs(club)
    os.makedirs(os.path.join(root, "conf"))
    settings = os.path.join(club, "Application.xml")
    write(os.path.join(club, "main.lua"), SCRIPT)

    check = [os.environ["INTROD"], "check-config", "--conf", os.path.join(root, "conf")]
    for text, said in [(NO_PLUGIN, "application club turns clients away: "), (BROKEN, "turns clients and lookups away")]:
        write(settings, text)
        checked = subprocess.run(check, capture_output=True, text=True)
        assert checked.returncode != 0 and said in checked.stdout, checked
        server = Server(root)
        for words in [(), ("sesame",)]:
            print("at the start:", is_refused(server.connect("club", *words)[1]))
        client, answer = server.connect("other")
        assert answer[2] == "_result", answer
        if text == NO_PLUGIN:
            log = server.stop()
            assert "application club turns clients away: " in log and "libmissing.so" in log, log
    # Once it is mended, a reload opens it.
    write(settings, GOOD)
    assert server.reload() == "introd has read its configuration anew"
    client, answer = server.connect("club", "sesame")
    assert answer[2] == "_result", answer
    is_refused(server.connect("club", "wrong")[1])

    for what, change in [
        ("broken", lambda: write(settings, BROKEN)),
        ("a plugin that is not there", lambda: write(settings, NO_PLUGIN)),
        ("gone", lambda: os.remove(settings)),
        ("a script that does not load", lambda: (write(settings, GOOD), write(os.path.join(club, "main.lua"), "nonsense("))),
        ("all gone", lambda: (os.remove(settings), os.remove(os.path.join(club, "main.lua")), os.rmdir(club))),
    ]:
        change()
        said = server.reload()
        print(what + ":", said)
        assert said.startswith("introd has read its configuration anew, except: application club keeps its old settings: "), said
        is_refused(server.connect("club", "wrong")[1])
        # The script of the instance that is there still decides.
        newcomer, answer = server.connect("club", "sesame")
        assert answer[2] == "_result", (what, answer)
    client.pump(0.1)
    assert not client.closed
    log = server.stop()
    assert "club" in log and "MaxAppIdleTime" in log and "libmissing.so" in log, log
print("closed")
