"""Load on two storehouse nodes over one cluster: python3 load.py NODE1 NODE2

Writers put blobs and allocations through each node, readers read what was acknowledged by either through each, and compare every byte. Standard
input drives it, a line a phase: `phase NAME SECONDS` runs the load for a while and prints what it saw. At the end of input everything that
was acknowledged is read back through both nodes. Exit status 0 only if nothing was lost and no byte was wrong.
"""

import http.client
import json
import random
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "http"))

from node import Node, cid_of, digest_of  # noqa: E402

SPACE = "did:web:example.com"
CAUSE = cid_of(b"\xa0", 0x71)
# For each node.
WRITERS, READERS = 2, 2


class Wrong(Exception):
    """Something that must not happen whatever fails."""


class Load:
    def __init__(self, addresses):
        self.nodes = [Node(address, timeout=90) for address in addresses]
        self.lock = threading.Lock()
        self.blobs, self.records = {}, {}
        self.wrong = []
        self.serial = 0

    def next(self):
        with self.lock:
            self.serial += 1
            return self.serial

    def write(self, random, seen, node):
        serial = self.next()
        size = random.choice([1_000, 4_096, 65_536, 262_144, 1_500_000])
        data = random.randbytes(size)
        digest = digest_of(data)
        if serial % 2:
            if seen.timed("put blob", lambda: node.request("PUT", "/blobs/" + digest, data), (200, 201)):
                with self.lock:
                    self.blobs[digest] = data
        else:
            record = {"space": SPACE, "blob": {"digest": digest, "size": size}, "expires": 4_000_000_000 + serial, "cause": CAUSE}
            body = json.dumps(record).encode()
            sent = lambda: node.request("POST", "/allocations", body, {"Content-Type": "application/json"})  # noqa: E731
            if seen.timed("post allocation", sent, (200, 201)):
                with self.lock:
                    self.records[digest] = record

    def read(self, random, seen, node):
        with self.lock:
            kind = random.choice(["blob", "record"])
            there = list((self.blobs if kind == "blob" else self.records).keys())[-500:]
        if not there:
            time.sleep(0.01)
            return
        self.check(kind, random.choice(there), node, random, seen)

    def check(self, kind, digest, node, random, seen):
        """Reads one acknowledged thing and compares it. False if the node answered that it cannot."""
        if kind == "record":
            path = "/allocations/" + digest
            answer = seen.timed("get allocation", lambda: node.request("GET", path), (200,), missing=path)
            if answer and answer.json() != self.records[digest]:
                raise Wrong(f"{path}: {answer.body!r}")
            return bool(answer)
        data, path = self.blobs[digest], "/blobs/" + digest
        first = random.randrange(len(data))
        last = random.randrange(first, len(data))
        whole = random.random() < 0.5
        headers = {} if whole else {"Range": f"bytes={first}-{last}"}
        answer = seen.timed("get blob", lambda: node.request("GET", path, headers=headers), (200, 206), missing=path)
        if answer and answer.body != (data if whole else data[first : last + 1]):
            raise Wrong(f"{path} {headers}: other bytes")
        return bool(answer)

    def phase(self, name, seconds):
        seen, until = Seen(), time.monotonic() + seconds
        steps = [self.write] * WRITERS + [self.read] * READERS
        threads = [threading.Thread(target=self.run, args=(step, node, seen, until)) for node in self.nodes for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.wrong:
            raise Wrong(self.wrong)
        return seen.report(name, seconds)

    def run(self, step, node, seen, until):
        source = random.Random()
        try:
            while time.monotonic() < until:
                step(source, seen, node)
        except Exception as error:  # noqa: BLE001: reported by the phase
            self.wrong.append(repr(error))

    def read_everything(self):
        """Reads all that was acknowledged through both nodes; a node gets some time to say yes."""
        seen = Seen()

        def read(work):
            kind, digest, node = work
            for _ in range(30):
                if self.check(kind, digest, node, random, seen):
                    return
                time.sleep(1)
            raise Wrong(f"{kind} {digest} cannot be read through {node.address}")

        work = [(kind, digest, node) for node in self.nodes for kind, of in (("blob", self.blobs), ("record", self.records)) for digest in of]
        with ThreadPoolExecutor(4) as readers:
            for _ in readers.map(read, work):
                pass
        return len(self.blobs), len(self.records)

    def list_everything(self):
        """Each node lists every acknowledged blob, once, with its size. Gives how many blobs a node lists in a second."""
        rates = []
        for node in self.nodes:
            start = time.monotonic()
            lines = node.request("GET", "/blobs").lines()
            rates.append(round(len(lines) / (time.monotonic() - start)))
            listed = {line["digest"]: line["size"] for line in lines}
            if len(listed) != len(lines):
                raise Wrong(f"{node.address} lists a blob twice")
            for digest, data in self.blobs.items():
                if listed.get(digest) != len(data):
                    raise Wrong(f"{node.address} lists {digest} with {listed.get(digest)} bytes of {len(data)}")
        return rates


class Seen:
    """What a phase saw: times of what went well, counts of what did not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.times, self.failed = {}, {}

    def timed(self, what, send, wanted, missing=None):
        start = time.monotonic()
        try:
            answer = send()
        except (OSError, http.client.HTTPException) as error:
            return self.failure(what, type(error).__name__)
        if answer.status in wanted:
            with self.lock:
                self.times.setdefault(what, []).append(time.monotonic() - start)
            return answer
        if missing and answer.status == 404:
            raise Wrong(f"{missing} was acknowledged and is not found")
        if answer.status < 500:
            raise Wrong(f"{what}: {answer.status} {answer.body[:300]!r}")
        return self.failure(what, str(answer.status))

    def failure(self, what, why):
        with self.lock:
            key = f"{what}: {why}"
            self.failed[key] = self.failed.get(key, 0) + 1
        return None

    def report(self, name, seconds):
        done = {}
        for what, times in sorted(self.times.items()):
            times.sort()
            done[what] = {
                "per_second": round(len(times) / seconds, 1),
                "median_ms": round(statistics.median(times) * 1000, 1),
                "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 1),
                "slowest_ms": round(times[-1] * 1000, 1),
            }
        return {"phase": name, "done": done, "failed": self.failed}


def main():
    load = Load(sys.argv[1:3])
    for line in sys.stdin:
        _, name, seconds = line.split()
        print(json.dumps(load.phase(name, float(seconds))), flush=True)
    blobs, records = load.read_everything()
    rates = load.list_everything()
    print(json.dumps({"acknowledged": {"blobs": blobs, "records": records}, "lost": 0, "wrong": 0, "listed_per_second": rates}), flush=True)
    assert blobs and records, "there was no load"


if __name__ == "__main__":
    main()
