"""Messages between nodes, side by side in one run on the same namespaces: bare UDP datagrams, ours (encrypted), and
Corosync's closed process groups; by turns, so that whatever else the machine does hits all alike; with idle cores, and
with cores that a busy process keeps awake. Then what an idle evmsd costs. Nothing of it outlives this program."""

import atexit
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cluster")
NODES = 3
TURNS = 5
SIZES = (64, 1024, 16 * 1024, 64 * 1024)
ROUNDS = {64: 1000, 1024: 1000, 16 * 1024: 500, 64 * 1024: 200}
STREAMED = {64: 8000, 1024: 8000, 16 * 1024: 1000, 64 * 1024: 300}
AT_ONCE = {64: 64, 1024: 64, 16 * 1024: 16, 64 * 1024: 8}
IDLE_SECONDS = 20
PATIENCE_SECONDS = 60

IDLE_RATIO_MAX, AWAKE_RATIO_MAX, COROSYNC_RATIO_MIN = 1.5, 2.5, 3.0
RESIDENT_KIB_MAX, CORE_PERCENT_MAX = 8192, 0.5

started = []


def start(words, **more):
    child = subprocess.Popen(words, stdin=more.pop("stdin", subprocess.DEVNULL), **more)
    started.append(child)
    return child


def end(child):
    child.kill()
    child.wait()
    started.remove(child)


def end_all():
    for child in reversed(started):
        child.kill()
        child.wait()


def wait_for(what, is_so):
    begin = time.monotonic()
    while not is_so():
        if time.monotonic() - begin > PATIENCE_SECONDS:
            sys.exit(f"{what} does not come about")
        time.sleep(0.1)


def ran(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Room:
    """A network namespace and a mount namespace, which live as long as a process in them that waits for our end."""

    def __init__(self, mounts=()):
        script = "".join(f"mount --bind {own} {place} && " for own, place in mounts)
        words = ["unshare", "--net", "--mount", "sh", "-c", script + "ip link set lo up && echo made && exec cat"]
        self.holder = start(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"made\n":
            sys.exit("namespaces cannot be made: be root")

    def words(self, words):
        # What is started ends when we do, however that happens.
        enter = ["nsenter", "--net", "--mount", f"--target={self.holder.pid}"]
        return enter + ["setpriv", "--pdeathsig", "KILL"] + words

    def run(self, words):
        return ran(self.words(words))


class Node(Room):
    def __init__(self, number, folder):
        self.number, self.address = number, f"10.89.0.{number}"
        self.folder = os.path.join(folder, f"n{number}")
        for room in ("etc/evms", "etc/corosync", "run/evms", "lib/corosync"):
            os.makedirs(os.path.join(self.folder, room))
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache"):
            if os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, os.path.join(self.folder, "etc"))
        self.furnish()
        places = (("etc", "/etc"), ("run", "/run"), ("lib", "/var/lib"))
        super().__init__([(os.path.join(self.folder, own), place) for own, place in places])

    def write(self, name, content, mode=0o600):
        path = os.path.join(self.folder, "etc", name)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(path, mode)

    def furnish(self):
        self.write("evms.conf", configuration())
        self.write("evms/node", machine(self.number) + "\n")
        self.write("evms/key", "evms-key-1:" + "07" * 32 + "\n")

    def log(self):
        return open(os.path.join(self.folder, "log"), "ab")


def machine(number):
    return f"00000000-0000-4000-8000-{number:012}"


def configuration():
    text = f'cluster = "bench"\nid = "{machine(77)}"\ngeneration = 1\n'
    for number in range(1, NODES + 1):
        text += f'\n[[node]]\nid = {number}\nname = "n{number}"\nmachine = "{machine(number)}"\n'
        text += f'links = ["10.89.0.{number}"]\n'
    return text


def network(nodes):
    """A bridge in a room of its own, and a pair of ends from there to each node."""
    hub = Room()
    hub.run(["ip", "link", "add", "hub", "type", "bridge"])
    hub.run(["ip", "link", "set", "hub", "up"])
    for node in nodes:
        end = f"n{node.number}"
        peer = ["peer", "name", "l0", "netns", str(node.holder.pid)]
        hub.run(["ip", "link", "add", end, "type", "veth"] + peer)
        hub.run(["ip", "link", "set", end, "master", "hub", "up"])
        node.run(["ip", "addr", "add", f"{node.address}/24", "dev", "l0"])
        node.run(["ip", "link", "set", "l0", "up"])
    return hub


def built(name, *libraries):
    """A program of this folder; nothing when a library that it wants is not here."""
    program = os.path.join(folder, name)
    words = ["gcc", "-O2", "-Wall", "-Wextra", "-o", program, os.path.join(HERE, name + ".c"), *libraries]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0 and not libraries:
        sys.exit(done.stderr)
    return program if done.returncode == 0 else None


# ---- who is measured: each gives nanoseconds of a round trip and messages a second


def figures(text):
    length, rounds, lost, median, all_ns = (int(word) for word in text.split())
    return {"bytes": length, "median": median, "messages": 2 * rounds / all_ns * 1e9, "lost": lost}


class Udp:
    name = "UDP"

    def __init__(self, nodes):
        self.here, there = nodes[0], nodes[1]
        self.program = built("udp")
        self.address = there.address
        start(there.words([self.program, "echo", self.address]))

    def ping(self, size, rounds, at_once):
        words = ["ping", self.address, str(size), str(rounds), str(at_once)]
        return figures(self.here.run([self.program, *words]))


class Ours:
    name = "evms"

    def __init__(self, nodes, evms):
        self.here, self.evms = nodes[0], evms
        words = [evms, "evmsd", "--log", "stderr"]
        self.daemons = [start(node.words(words), stderr=node.log()) for node in nodes]
        wait_for("a quorum of evmsd", self.is_whole)

    def is_whole(self):
        words = self.here.words([self.evms, "evms", "--json", "status"])
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return False
        status = json.loads(done.stdout)["result"]
        return status["quorum"]["quorate"] and len(status["view"]["members"]) == NODES

    def ping(self, size, rounds, at_once):
        words = ["--json", "node", "ping", "n2", "--bytes", str(size), "--count", str(rounds)]
        line = json.loads(self.here.run([self.evms, "evms", *words, "--at-once", str(at_once)]))["result"]
        messages = 2 * line["rounds"] / line["all_ns"] * 1e9
        return {"bytes": size, "median": line["median_ns"], "messages": messages, "lost": 0}


class Corosync:
    """Two nodes of it, which suits it best: its token has the shortest way."""

    def __init__(self, nodes, program, transport, crypto):
        self.name = f"CPG {transport}" + (" sealed" if crypto else "")
        self.nodes, self.program = nodes[:2], program
        text = "totem {\n version: 2\n cluster_name: bench\n transport: %s\n" % transport
        if crypto:
            text += " crypto_cipher: aes256\n crypto_hash: sha256\n"
        text += " token: 3000\n}\nquorum {\n provider: corosync_votequorum\n}\nlogging {\n to_stderr: yes\n}\nnodelist {\n"
        for node in self.nodes:
            text += f" node {{\n  nodeid: {node.number}\n  name: n{node.number}\n  ring0_addr: {node.address}\n }}\n"
        for node in self.nodes:
            node.write("corosync/corosync.conf", text + "}\n")
            node.write("corosync/authkey", bytes(range(256)), 0o400)
        self.running = [start(node.words(["corosync", "-f"]), stderr=node.log(), stdout=node.log()) for node in self.nodes]
        wait_for("Corosync", self.is_whole)
        self.running.append(start(self.nodes[1].words([program, "echo"])))
        time.sleep(0.5)

    def is_whole(self):
        words = self.nodes[0].words(["corosync-quorumtool", "-s"])
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if self.running[0].poll() is not None:
            sys.exit("corosync does not run: " + open(os.path.join(self.nodes[0].folder, "log")).read())
        return "Nodes:            2" in done.stdout

    def ping(self, size, rounds, at_once):
        return figures(self.nodes[0].run([self.program, "ping", str(size), str(rounds), str(at_once)]))

    def flood(self, size, messages):
        """The most that the group is told by one: each message is one, and each member hears it."""
        return figures(self.nodes[0].run([self.program, "flood", str(size), str(messages)]))["messages"] / 2

    def stop(self):
        for child in reversed(self.running):
            end(child)


# ---- measuring


def awake():
    """A process of the lowest rank on each core that never sleeps."""
    busy = ["nice", "-n", "19", "sh", "-c", "while :; do :; done"]
    return [start(["taskset", "-c", str(core)] + busy) for core in sorted(os.sched_getaffinity(0))]


def core_times():
    words = open("/proc/stat").readline().split()[1:]
    times = [int(word) for word in words]
    return sum(times), times[3] + times[4]


def load():
    """Percent of all cores that others use now."""
    (all_before, idle_before), _ = core_times(), time.sleep(2)
    all_after, idle_after = core_times()
    return 100 - 100 * (idle_after - idle_before) / (all_after - all_before)


def spread(samples, form):
    return f"{form(statistics.median(samples))} ({form(min(samples))}..{form(max(samples))})"


def microseconds(value):
    return f"{value / 1000:.0f}"


def thousands(value):
    return f"{value / 1000:.1f}"


def measure(who, size):
    trips, streams, lost, sent = {}, {}, {}, {}
    for _ in range(TURNS):
        for one in who:
            trip = one.ping(size, ROUNDS[size], 1)
            stream = one.ping(size, STREAMED[size], AT_ONCE[size])
            trips.setdefault(one.name, []).append(trip["median"])
            streams.setdefault(one.name, []).append(stream["messages"])
            lost[one.name] = lost.get(one.name, 0) + trip["lost"] + stream["lost"]
            sent[one.name] = trip["bytes"]
    for name in trips:
        megabytes = statistics.median(streams[name]) * sent[name] / 1e6
        row = f"{sent[name]:>6} {name:<16} {spread(trips[name], microseconds):>22}"
        row += f" {spread(streams[name], thousands):>24} {megabytes:>9.0f}"
        print(row + (f"   {lost[name]} lost" if lost[name] else ""), flush=True)
    return {name: (statistics.median(trips[name]), statistics.median(streams[name])) for name in trips}


def table(who, title):
    print(f"\n{title}")
    print(f" bytes {'':<16} {'round trip, us':>22} {'thousand messages/s':>24} {'MB/s':>9}")
    return {size: measure(who, size) for size in SIZES}


def spent_ns(pid):
    tasks = f"/proc/{pid}/task"
    return sum(int(open(f"{tasks}/{task}/schedstat").read().split()[0]) for task in os.listdir(tasks))


def resident_kib(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def idle(daemons):
    print(f"\nidle evmsd of {NODES} nodes, {IDLE_SECONDS} s")
    before = [spent_ns(daemon.pid) for daemon in daemons]
    time.sleep(IDLE_SECONDS)
    after = [spent_ns(daemon.pid) for daemon in daemons]
    shares = [(b - a) / IDLE_SECONDS / 1e7 for a, b in zip(before, after)]
    kept = [resident_kib(daemon.pid) for daemon in daemons]
    for number, (share, kib) in enumerate(zip(shares, kept), 1):
        print(f"n{number}: {kib} KiB resident, {share:.2f} % of a core")
    verdict("resident KiB", max(kept), RESIDENT_KIB_MAX, at_most=True)
    verdict("% of a core", max(shares), CORE_PERCENT_MAX, at_most=True)


missed = []


def verdict(what, value, limit, at_most):
    well = value <= limit if at_most else value >= limit
    missed.extend([] if well else [what])
    print(f"{'met   ' if well else 'MISSED'} {what}: {value:.2f}, target {'<=' if at_most else '>='} {limit}")


def corosync(nodes):
    """What of it can be had here, in words when nothing can."""
    program = shutil.which("corosync") and built("cpg", "-lcpg")
    if not program:
        print("Corosync NOT MEASURED: it is not here; apt-get install corosync libcpg-dev")
        return None
    return program


def compare(nodes, ours, udp):
    program = corosync(nodes)
    ways = [("knet", True), ("udpu", False)] if program else [None]
    tables, floods = {}, []
    for way in ways:
        group = Corosync(nodes, program, *way) if way else None
        who = [udp, ours] + ([group] if group else [])
        for cores in ("idle", "awake"):
            busy = awake() if cores == "awake" else []
            title = f"cores {cores}" + (f", beside {group.name}" if group else "")
            tables[cores, way] = table(who, title)
            if group:
                told = [group.flood(1024, 20000) for _ in range(TURNS)]
                floods.append(statistics.median(told))
                print(f"{group.name}: one tells the group {spread(told, thousands)} thousand messages of 1 KiB a second")
            for child in busy:
                end(child)
        if group:
            group.stop()
    return tables, floods


def judge(tables, floods):
    print("\nat 1 KiB")
    ratio = {}
    for cores in ("idle", "awake"):
        rows = [table[1024] for (when, _), table in tables.items() if when == cores]
        ratio[cores] = statistics.median(row["evms"][0] / row["UDP"][0] for row in rows)
    verdict("round trip beside UDP, cores idle", ratio["idle"], IDLE_RATIO_MAX, at_most=True)
    verdict("round trip beside UDP, cores awake", ratio["awake"], AWAKE_RATIO_MAX, at_most=True)
    if floods:
        rows = [table[1024] for table in tables.values()]
        ours = statistics.median(row["evms"][1] for row in rows)
        theirs = max([row[name][1] for row in rows for name in row if name.startswith("CPG")] + floods)
        verdict("messages beside the best of Corosync", ours / theirs, COROSYNC_RATIO_MIN, at_most=False)
    print("CPG gives all members all messages in one order for all; ours go from one node to one, in order between the two.")
    print("UDP: one sendto of one datagram each, cut by IP above 1472 bytes; 64 KiB are 65 507 there, the most that it takes.")


def main():
    nodes = [Node(number, folder) for number in range(1, NODES + 1)]
    hub = network(nodes)
    print(f"{len(os.sched_getaffinity(0))} cores; others use {load():.0f} % of them before the run")
    ours = Ours(nodes, os.path.abspath(sys.argv[1]))
    udp = Udp(nodes)
    judge(*compare(nodes, ours, udp))
    idle(ours.daemons)
    end(hub.holder)
    print(f"\n{len(missed)} targets missed" + "".join(f"; {what}" for what in missed))
    sys.exit(bool(missed))


with tempfile.TemporaryDirectory(prefix="evms-bench-") as folder:
    atexit.register(end_all)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        main()
    finally:
        end_all()
        started.clear()
