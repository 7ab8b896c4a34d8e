"""A node is killed under load, again and again: python3 kill.py NODE DATA_DIR TIMES

Writers put blobs and records over HTTP and remember what was answered with 201; after a random time the node gets SIGKILL. Started again on
the same directory, it must hold every blob and every record that was answered, each blob listed must be whole, and no temporary file may be
left. What an interrupted request was about may be there or not, but never in part.
"""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from node import Node, cid_of, digest_of

CAUSE = cid_of(b"\xa0", 0x71)
# All so long that no two are alike.
SIZES = [32, 1_000, 65_536, 300_000, 3_000_000]


def start(binary, data_dir):
    process = subprocess.Popen(
        [binary, "--data-dir", data_dir, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for line in process.stdout:
        if line.startswith("listening on http://"):
            return process, Node(line.split("//")[1].strip(), timeout=30)
    sys.exit(f"the node did not start: exit status {process.wait()}")


class Writer(threading.Thread):
    """Puts a blob and allocates it, in turns, until the node is gone."""

    def __init__(self, node):
        super().__init__()
        self.node, self.blobs, self.records, self.error = node, {}, {}, None

    def run(self):
        try:
            while True:
                data = random.randbytes(random.choice(SIZES))
                digest = digest_of(data)
                status = self.node.request("PUT", "/blobs/" + digest, data).status
                assert status in (200, 201), status
                self.blobs[digest] = len(data)
                record = {"space": "did:web:example.com", "blob": {"digest": digest, "size": len(data)}, "cause": CAUSE}
                record["expires"] = random.randrange(1 << 40)
                answer = self.node.request("POST", "/allocations", json.dumps(record).encode(), {"Content-Type": "application/json"})
                assert answer.status in (200, 201), answer.status
                self.records[digest] = record
        except OSError:
            pass  # it was killed
        except Exception as error:  # noqa: BLE001: told to the main thread
            # An answer that was cut off is the kill too.
            if type(error).__module__ != "http.client":
                self.error = error


def check(node, data_dir, blobs, records, fresh):
    """Everything that was answered is there. Of earlier rounds, which were checked when they were fresh, a sample."""
    listed = {line["digest"]: line["size"] for line in node.request("GET", "/blobs").lines()}
    for digest, size in blobs.items():
        assert listed.get(digest) == size, f"{digest} of {size} bytes was answered with 201; listed: {listed.get(digest)}"
    looked_at = [digest for digest in listed if digest in fresh or digest not in blobs or random.random() < 0.1]
    for digest in looked_at:
        answer = node.request("GET", "/blobs/" + digest)
        assert answer.status == 200 and digest_of(answer.body) == digest, f"{digest}: {answer.status}, {len(answer.body)} bytes"
    for digest, record in records.items():
        if digest in fresh or random.random() < 0.1:
            answer = node.request("GET", "/allocations/" + digest)
            assert answer.status == 200 and answer.json() == record, f"allocation of {digest}: {answer.status} {answer.body!r}"
    left = list((data_dir / "pdp/datastore/.temp").iterdir())
    assert not left, f"left behind: {left}"


def main():
    binary, data_dir, times = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    blobs, records = {}, {}
    process, node = start(binary, data_dir)
    try:
        for _ in range(times):
            writers = [Writer(node) for _ in range(6)]
            for writer in writers:
                writer.start()
            time.sleep(random.uniform(0.05, 0.6))
            process.send_signal(signal.SIGKILL)
            process.wait()
            fresh = set()
            for writer in writers:
                writer.join()
                assert writer.error is None, repr(writer.error)
                blobs |= writer.blobs
                records |= writer.records
                fresh |= writer.blobs.keys()
            process, node = start(binary, data_dir)
            check(node, data_dir, blobs, records, fresh)
        check(node, data_dir, blobs, records, set(blobs))
    finally:
        process.kill()
        process.wait()
    assert len(blobs) >= times and records, "there was no load"
    print(f"killed {times} times: all of {len(blobs)} blobs and {len(records)} records answered with 201 are there and whole")


if __name__ == "__main__":
    main()
