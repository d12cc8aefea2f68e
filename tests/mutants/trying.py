"""Runs the tests: once to see which faults they reach, then with each fault for the tests that reach it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

# What becomes of a fault. A test that hangs with it has noticed it.
OUTCOMES = ("caught", "timeout", "missed", "unreached", "unviable", "unplaced")
# Many tests wait for something else than a core.
WORKERS = 2 * (os.cpu_count() or 1)
# Tests that reach a fault run together, the fastest first: after so many it is looked whether one has failed.
FIRST, LATER = 8, 40
# A test that takes longer than this, in seconds, is left out: it would be run for each fault that no other test notices.
SLOW = 20
# How long a test may take, in seconds, and how many times as long as without a fault.
PATIENCE, FACTOR = 30, 10


class Reach:
    """Which tests reach a fault, and how long each takes."""

    def __init__(self):
        self.tests = {}
        self.seconds = {}

    def of(self, number, packages):
        """The tests of these packages that reach the fault, the fastest first."""
        found = sorted((self.seconds[test], test) for test in self.tests.get(number, ()) if test[0][0] in packages)
        return [test for _, test in found]


def try_all(build, work, nearest):
    """Tries each fault with the tests nearest to it. Gives (fault, outcome, detail) of each."""
    targets = {target.key: target for target in build.targets}
    reach = record(build.targets, {})
    results, waiting = [], []
    for number, fault in build.faults.items():
        if number in build.unviable:
            results.append((fault, "unviable", ""))
        elif number in build.unplaced:
            results.append((fault, "unplaced", build.unplaced[number]))
        elif tests := reach.of(number, nearest[fault["package"]]):
            waiting.append((fault, tests))
        else:
            results.append((fault, "unreached", ""))
    unreached = [fault["name"] for fault, outcome, _ in results if outcome == "unreached"]
    (work / "unreached.txt").write_text("".join(f"{name}\n" for name in unreached))
    print(f"no test reaches {len(unreached)} faults: {work / 'unreached.txt'}", flush=True)
    return results + try_each(waiting, targets, reach, {})


def try_program(build, results):
    """Tries what was missed on the whole program with the end-to-end tests."""
    if not any(outcome in ("missed", "unreached") for _, outcome, _ in results):
        return
    target = build.program_tests
    environment = {"INTROD_BIN": build.program}
    reach = record([target], environment)
    waiting, kept = [], []
    for fault, outcome, detail in results:
        tests = reach.of(fault["number"], {target.package})
        if outcome in ("missed", "unreached") and tests:
            waiting.append((fault, tests))
        else:
            kept.append((fault, outcome, detail))
    results[:] = kept + try_each(waiting, {target.key: target}, reach, environment)


def record(targets, environment):
    reach = Reach()
    names = [(target, name) for target in targets for name in names_of(target)]
    progress = Progress("tests looked at", len(names))
    with ThreadPoolExecutor(WORKERS) as pool, tempfile.TemporaryDirectory() as folder:
        def look(index, target, name):
            path = Path(folder) / str(index)
            began = time.monotonic()
            status = run(target, [name], environment | {"FAULT_RECORD": str(path)}, 900)
            seconds = time.monotonic() - began
            numbers = {int(line) for line in path.read_text().split()} if path.exists() else set()
            return target, name, status, seconds, numbers

        for done in as_completed(pool.submit(look, index, *name) for index, name in enumerate(names)):
            target, name, status, seconds, numbers = done.result()
            progress.step()
            if status != 0:
                print(f"{name} of {target.package} fails without a fault: it is left out", file=sys.stderr, flush=True)
                continue
            if seconds > SLOW:
                print(f"{name} of {target.package} takes {seconds:.0f} s: it is left out", file=sys.stderr, flush=True)
                continue
            test = (target.key, name)
            reach.seconds[test] = seconds
            for number in numbers:
                reach.tests.setdefault(number, []).append(test)
    return reach


def try_each(waiting, targets, reach, environment):
    results, progress = [], Progress("faults tried", len(waiting))
    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(try_one, fault, tests, targets, reach, environment) for fault, tests in waiting]
        for future in as_completed(futures):
            results.append(future.result())
            progress.step(results[-1][1] in ("missed", "unreached"))
    return sorted(results, key=lambda result: result[0]["number"])


def try_one(fault, tests, targets, reach, environment):
    environment = environment | {"FAULT": str(fault["number"])}
    for chunk in chunks(tests):
        for key in dict.fromkeys(test[0] for test in chunk):
            names = [name for target, name in chunk if target == key]
            limit = PATIENCE + FACTOR * sum(reach.seconds[(key, name)] for name in names)
            status = run(targets[key], names, environment, limit)
            if status is None:
                return fault, "timeout", ""
            if status != 0:
                return fault, "caught", ""
    return fault, "missed", ""


def chunks(tests):
    yield tests[:FIRST]
    for start in range(FIRST, len(tests), LATER):
        yield tests[start : start + LATER]


def names_of(target):
    listed = subprocess.run([target.executable, "--list", "--format", "terse"], cwd=target.folder, check=True,
                            capture_output=True, text=True).stdout
    return [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]


def run(target, names, environment, limit):
    """Runs tests of a program. Gives its status, or `None` if it did not end in time."""
    environment = os.environ | environment | {"CARGO_MANIFEST_DIR": target.folder, "RUST_TEST_THREADS": "2"}
    process = subprocess.Popen([target.executable, "--quiet", "--exact", *names], cwd=target.folder, env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # What the tests have started ends with them.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


class Progress:
    """Says every half minute how far it is."""

    def __init__(self, what, whole):
        self.what, self.whole, self.done, self.missed = what, whole, 0, 0
        self.began = self.said = time.monotonic()

    def step(self, is_missed=False):
        self.done += 1
        self.missed += is_missed
        now = time.monotonic()
        if self.done == self.whole or now - self.said > 30:
            self.said = now
            missed = f", {self.missed} missed" if self.missed else ""
            print(f"{self.done} of {self.whole} {self.what}{missed} ({now - self.began:.0f} s)", flush=True)
