"""One script of HTTP requests for every configuration: python3 same.py HOST:PORT VECTORS OUT

Sends each request, checks what every node must answer, and writes a transcript to OUT. Transcripts of nodes over different backends are
then compared byte for byte. What may differ is left out of them: the order of a list, the wording of an error (its code stays), dates.
"""

import hashlib
import json
import sys
from pathlib import Path

from node import Node, cid_of, digest_of

SHOWN = (
    "accept-ranges",
    "cache-control",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "x-content-type-options",
)


class Transcript:
    def __init__(self, node):
        self.node = node
        self.lines = []

    def send(self, wanted, method, path, body=None, headers=None):
        """Sends one request, which must be answered with the status `wanted`, and takes it down."""
        answer = self.node.request(method, path, body, headers)
        assert answer.status == wanted, f"{method} {path} {headers}: {answer.status}, not {wanted}: {answer.body[:500]}"
        shown = {name: answer.headers[name] for name in SHOWN if name in answer.headers}
        if answer.status >= 400 and shown.get("content-type", "").startswith("application/json"):
            # A HEAD has the headers of an error, and no code.
            body = answer.json()["error"]["code"] if answer.body else ""
            shown.pop("content-length", None)
        elif len(answer.body) < 300:
            body = answer.body.decode("latin-1")
        else:
            body = f"{len(answer.body)} bytes, sha256 {hashlib.sha256(answer.body).hexdigest()}"
        self.note(request=[method, path, headers or {}], status=answer.status, headers=shown, body=body)
        return answer

    def note(self, **what):
        self.lines.append(json.dumps(what, sort_keys=True))


def blob(size):
    """Bytes that look random and are the same everywhere."""
    out = bytearray()
    counter = 0
    while len(out) < size:
        out += hashlib.sha256(b"%d of %d" % (counter, size)).digest()
        counter += 1
    return bytes(out[:size])


def blobs(t):
    sizes = [0, 1, 4096, 65536, 1_048_576, 1_048_577, 20_000_000]
    for size in sizes:
        data, path = blob(size), "/blobs/" + digest_of(blob(size))
        t.send(404, "GET", path)
        t.send(404, "HEAD", path)
        t.send(201, "PUT", path, data)
        t.send(200, "PUT", path, data)
        assert t.send(200, "GET", path).body == data
        assert t.send(200, "HEAD", path).body == b""
    data, digest = blob(65536), digest_of(blob(65536))
    path = "/blobs/" + digest
    for header, first, end in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-4095", 0, 4096),
        ("bytes=100-", 100, 65536),
        ("bytes=-100", 65436, 65536),
        ("bytes=-99999", 0, 65536),
        ("bytes=65535-99999", 65535, 65536),
        ("bytes=65535-18446744073709551615", 65535, 65536),
    ]:
        assert t.send(206, "GET", path, headers={"Range": header}).body == data[first:end], header
    for header in ["bytes=0-1,5-6", "lines=1-2", "bytes=5-2", "bytes=", "bytes=a-b", "bytes 0-1"]:
        assert t.send(200, "GET", path, headers={"Range": header}).body == data, header
    for header in ["bytes=65536-", "bytes=70000-80000", "bytes=-0"]:
        t.send(416, "GET", path, headers={"Range": header})
    t.send(416, "GET", "/blobs/" + digest_of(b""), headers={"Range": "bytes=0-0"})
    etag = t.send(200, "HEAD", path).headers["etag"]
    assert etag == f'"{digest}"', etag
    for headers, status in [
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": f'"other", W/{etag}'}, 304),
        ({"If-Match": etag}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Range": etag, "Range": "bytes=0-9"}, 206),
        ({"If-Range": '"other"', "Range": "bytes=0-9"}, 200),
    ]:
        t.send(status, "GET", path, headers=headers)
    refused(t)
    listed(t, sizes)
    for size in sizes:
        path = "/blobs/" + digest_of(blob(size))
        t.send(204, "DELETE", path)
        t.send(204, "DELETE", path)
        t.send(404, "GET", path)
    assert t.send(200, "GET", "/blobs").body == b""


def refused(t):
    data = blob(1000)
    t.send(422, "PUT", "/blobs/" + digest_of(b"other"), data)
    for bad in ["nonsense", "zzzz", "z" + "1" * 10_000, "!", "z3gqmkgsXbWr"]:
        t.send(400, "PUT", "/blobs/" + bad, data)
        t.send(400, "GET", "/blobs/" + bad)
    chunked = t.node.request("PUT", "/blobs/" + digest_of(data), iter([data]), {"Transfer-Encoding": "chunked"})
    assert chunked.status == 411, chunked.status
    t.send(404, "GET", "/blobs/" + digest_of(data))
    t.send(404, "GET", "/nothing-here")
    t.send(405, "POST", "/blobs")


def listed(t, sizes):
    whole = t.node.request("GET", "/blobs")
    assert whole.status == 200, whole.status
    lines = whole.lines()
    t.note(listed=sorted((line["digest"], line["size"]) for line in lines))
    assert sorted(line["size"] for line in lines) == sizes, lines
    paged, after = [], ""
    while True:
        page = t.node.request("GET", f"/blobs?limit=2{after}").lines()
        if not page:
            break
        assert len(page) <= 2, page
        paged += page
        after = "&after=" + page[-1]["digest"]
    assert paged == lines, "pages do not make the list"


def cbor_records(t, vectors, index):
    """Allocations and acceptances: in as the bytes that Piri's own code wrote, out as the same bytes; in and out as JSON."""
    for kind, path in [("allocation", "/allocations"), ("acceptance", "/acceptances")]:
        given = [record for record in index if record["kind"] == kind][:12]
        digests = set()
        for record in given:
            data = (vectors / record["file"]).read_bytes()
            t.send(201, "POST", path, data, {"Content-Type": "application/cbor"})
            digests.add(record["fields"]["digest"])
        for digest in sorted(digests):
            stored = t.send(200, "GET", f"{path}/{digest}", headers={"Accept": "application/cbor"}).body
            assert stored in [(vectors / r["file"]).read_bytes() for r in given if r["fields"]["digest"] == digest]
            as_json = t.send(200, "GET", f"{path}/{digest}", headers={"Accept": "application/json"})
            t.send(201, "POST", path, as_json.body, {"Content-Type": "application/json"})
            again = t.send(200, "GET", f"{path}/{digest}", headers={"Accept": "application/cbor"}).body
            assert again == stored, "through JSON it is another record"
        t.send(404, "GET", f"{path}/{digest_of(b'nobody allocated this')}")
        t.send(400, "POST", path, b"{ not json", {"Content-Type": "application/json"})
        t.send(400, "POST", path, b"\xff\xff", {"Content-Type": "application/cbor"})
        t.send(415, "POST", path, b"text", {"Content-Type": "text/plain"})


def archives(t, vectors, index):
    """Claims and receipts: archives verbatim."""
    for kind, path in [("delegation", "/claims"), ("receipt-store", "/receipts")]:
        given = [record for record in index if record["kind"] == kind][:8]
        for record in given:
            data = (vectors / record["file"]).read_bytes()
            place = f"{path}/{record['fields']['cid']}"
            t.send(404, "GET", place)
            t.send(201, "PUT", place, data, {"Content-Type": "application/vnd.ipld.car"})
            assert t.send(200, "GET", place, headers={"Accept": "application/vnd.ipld.car"}).body == data
        other = cid_of(b"\xa0", 0x71)
        t.send(422, "PUT", f"{path}/{other}", data, {"Content-Type": "application/vnd.ipld.car"})
        t.send(404, "GET", f"{path}/{other}")
        t.send(400, "PUT", f"{path}/{other}", b"not a car", {"Content-Type": "application/vnd.ipld.car"})
        t.send(400, "GET", f"{path}/nonsense")
    by_ran = {}
    for record in given:
        by_ran.setdefault(record["fields"]["ran"], []).append((vectors / record["file"]).read_bytes())
    for ran, receipts in by_ran.items():
        found = t.send(200, "GET", f"/receipts?ran={ran}", headers={"Accept": "application/vnd.ipld.car"}).body
        assert found in receipts
    t.send(404, "GET", "/receipts?ran=" + other)


def main():
    address, vectors, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    index = json.loads((vectors / "index.json").read_text())["records"]
    t = Transcript(Node(address))
    assert t.node.request("GET", "/health").status == 200
    assert t.send(200, "GET", "/blobs").body == b""
    blobs(t)
    cbor_records(t, vectors, index)
    archives(t, vectors, index)
    assert b"storehouse_" in t.node.request("GET", "/metrics").body
    out.write_text("\n".join(t.lines) + "\n")
    print(f"{len(t.lines)} answers as they must be")


if __name__ == "__main__":
    main()
