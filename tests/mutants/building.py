"""Builds one program with all faults in it, each behind a switch."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Part of each crate's root. A switch costs one load: the simulator and the ciphers run through millions of them.
SWITCH = """
#[allow(missing_docs, dead_code, unreachable_pub, clippy::all)]
pub(crate) mod fault_switch {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    const UNREAD: u32 = u32::MAX;
    const RECORDING: u32 = u32::MAX - 1;
    static ON: AtomicU32 = AtomicU32::new(UNREAD);
    static REACHED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

    #[inline]
    pub(crate) fn is_on(number: u32) -> bool {
        let on = ON.load(Ordering::Relaxed);
        on == number || (on >= RECORDING && ask(number))
    }

    #[cold]
    fn ask(number: u32) -> bool {
        if ON.load(Ordering::Relaxed) == UNREAD {
            let on = match std::env::var("FAULT") {
                Ok(number) => number.parse().unwrap(),
                Err(_) if std::env::var_os("FAULT_RECORD").is_some() => RECORDING,
                Err(_) => 0,
            };
            ON.store(on, Ordering::Relaxed);
        }
        if ON.load(Ordering::Relaxed) == RECORDING && !REACHED[number as usize].swap(true, Ordering::Relaxed) {
            let path = std::env::var_os("FAULT_RECORD").unwrap();
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
            file.write_all(format!("{number}\\n").as_bytes()).unwrap();
        }
        ON.load(Ordering::Relaxed) == number
    }
}
"""


@dataclass
class Target:
    """A program of tests."""

    package: str
    name: str
    executable: str
    folder: str

    @property
    def key(self):
        return (self.package, self.name)


@dataclass
class Build:
    faults: dict
    targets: list = field(default_factory=list)
    # Why a fault is not in the program, by its number.
    unviable: dict = field(default_factory=dict)
    unplaced: dict = field(default_factory=dict)
    # The `introd` with the switches, and the end-to-end tests.
    program: str = ""
    program_tests: Target = None


class Sources:
    """The files that faults go into, as they were."""

    def __init__(self, tree, faults, roots):
        self.tree = tree
        paths = {fault["file"] for fault in faults} | set(roots)
        self.texts = {path: (tree / path).read_text() for path in sorted(paths)}
        self.roots = roots
        self.count = len(faults) + 1
        self.placed = {}

    def write(self, faults, tool):
        """Writes the files with these faults. Gives the numbers for which there is no place, with the reason."""
        by_file = {path: [] for path in self.texts}
        for fault in faults:
            by_file[fault["file"]].append({key: fault[key] for key in ("number", "genre", "span", "replacement")})
        order = [{"path": path, "source": self.texts[path], "faults": listed} for path, listed in by_file.items()]
        done = subprocess.run([tool], input=json.dumps({"files": order}), capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"the switches were not put in: {done.stderr}")
        unplaced = {}
        for path, switched in zip(by_file, json.loads(done.stdout)["files"]):
            source = switched["source"]
            if path in self.roots:
                source += SWITCH.replace("COUNT", str(self.count))
            file = self.tree / path
            # What has not changed is not compiled again.
            if file.read_text() != source:
                file.write_text(source)
            self.placed[path] = switched["placed"]
            unplaced |= {int(number): why for number, why in switched["unplaced"].items()}
        return unplaced

    def at(self, span):
        """The numbers of the faults whose code, or else whose switch, a piece of a file is in."""
        try:
            path = os.path.relpath(self.tree / span["file_name"], self.tree)
        except ValueError:
            return set(), set()
        start = span["byte_start"]
        placed = self.placed.get(path, [])
        own = {one["number"] for one in placed if one["start"] <= start < one["end"]}
        around = [one for one in placed if one["around"][0] <= start < one["around"][1]]
        smallest = min((one["around"][1] - one["around"][0] for one in around), default=0)
        return own, {one["number"] for one in around if one["around"][1] - one["around"][0] == smallest}


def build(tree, work, faults, crates, nearest, program):
    """Compiles the faults. Those that do not compile are taken out, and it is tried again."""
    tool = build_tool(work)
    metadata = json.loads(cargo(tree, work, ["metadata", "--no-deps", "--format-version=1"], check=True).stdout)
    packages = {package["name"]: package for package in metadata["packages"]}
    roots = [
        os.path.relpath(target["src_path"], metadata["workspace_root"])
        for crate in crates
        for target in packages[crate]["targets"]
        if set(target["kind"]) & {"lib", "rlib", "cdylib", "bin"}
    ]
    sources = Sources(tree, faults, roots)
    result = Build(faults={fault["number"]: fault for fault in faults})
    began, left = time.monotonic(), dict(result.faults)
    while True:
        result.unplaced |= sources.write(left.values(), tool)
        left = {number: fault for number, fault in left.items() if number not in result.unplaced}
        errors, built = compile_all(tree, work, packages, crates, nearest, program)
        if not errors:
            break
        guilty = blame(sources, errors, result)
        if not guilty:
            sys.exit("the code with switches does not compile:\n" + "\n".join(error["rendered"] for error in errors[:5]))
        left = {number: fault for number, fault in left.items() if number not in guilty}
        print(f"{len(guilty)} faults do not compile; {len(left)} left", flush=True)
    for package, name, executable in built:
        target = Target(package, name, executable, str(Path(packages[package]["manifest_path"]).parent))
        if (package, name) == ("introd-tests", "e2e"):
            result.program_tests = target
        else:
            result.targets.append(target)
    result.program = str(work / "build/debug/introd")
    print(f"{len(left)} faults are in the program, built in {time.monotonic() - began:.0f} s", flush=True)
    return result


def blame(sources, errors, result):
    """Finds the faults that errors come from, and notes them."""
    guilty = set()
    for error in errors:
        spans = sorted(error["spans"], key=lambda span: not span["is_primary"])
        spans += [span for child in error["children"] for span in child["spans"]]
        found = [sources.at(span) for span in spans]
        own = next((own for own, _ in found if own), set())
        around = next((around for _, around in found if around), set())
        guilty |= own or around
        text = error["message"]
        result.unviable |= {number: text for number in own}
        if not own:
            result.unplaced |= {number: f"the switch does not compile: {text}" for number in around}
    return guilty


def build_tool(work):
    manifest = HERE / "switches/Cargo.toml"
    subprocess.run(["cargo", "build", "--quiet", "--manifest-path", manifest, "--target-dir", work / "switches"], check=True)
    return work / "switches/debug/switches"


def cargo(tree, work, arguments, check=False):
    environment = os.environ | {"CARGO_TARGET_DIR": str(work / "build")}
    return subprocess.run(["cargo", *arguments], cwd=tree, env=environment, check=check, capture_output=True, text=True)


def compile_all(tree, work, packages, crates, nearest, program):
    """Gives the compiler's errors, and the programs of tests as (package, target, path)."""
    commands = [["test", "--no-run", "--lib", *flags(crates)]]
    commands += [["test", "--no-run", "-p", package, "--test", name] for package, name in nearest]
    if program:
        commands += [["build", "-p", "introd"], ["test", "--no-run", "-p", "introd-tests", "--test", "e2e"]]
    errors, built = [], []
    by_manifest = {package["manifest_path"]: name for name, package in packages.items()}
    for command in commands:
        done = cargo(tree, work, [*command, "--quiet", "--message-format=json"])
        for line in done.stdout.splitlines():
            message = json.loads(line)
            if message["reason"] == "compiler-message" and message["message"]["level"] == "error":
                if message["message"]["spans"]:
                    errors.append(message["message"])
            if message["reason"] == "compiler-artifact" and message["executable"] and message["profile"]["test"]:
                built.append((by_manifest[message["manifest_path"]], message["target"]["name"], message["executable"]))
        if errors:
            break
        if done.returncode:
            sys.exit(f"cargo {' '.join(command)} has failed:\n{done.stderr}")
    return errors, built


def flags(crates):
    return [word for crate in crates for word in ("-p", crate)]
