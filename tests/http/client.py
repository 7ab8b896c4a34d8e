"""Python's http.client against a node: python3 client.py HOST:PORT. One connection kept open, bodies read in pieces, a client that goes away."""

import hashlib
import http.client
import sys

from node import digest_of


def exchange(connection, method, path, body=None, headers=None):
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    return response, response.read()


def main():
    address = sys.argv[1]
    data = hashlib.shake_256(b"a blob of 5 MiB and a bit").digest(5 * 1024 * 1024 + 17)
    path = "/blobs/" + digest_of(data)
    connection = http.client.HTTPConnection(address, timeout=60)

    response, _ = exchange(connection, "PUT", path, data)
    assert response.status == 201, response.status
    socket = connection.sock
    for first in range(0, len(data), 700_001):
        last = min(first + 700_000, len(data) - 1)
        response, body = exchange(connection, "GET", path, headers={"Range": f"bytes={first}-{last}"})
        assert response.status == 206 and body == data[first : last + 1], (first, response.status)
        assert response.getheader("Content-Range") == f"bytes {first}-{last}/{len(data)}"
    response, body = exchange(connection, "HEAD", path)
    assert response.status == 200 and body == b"" and response.getheader("Content-Length") == str(len(data))
    response, body = exchange(connection, "GET", path, headers={"If-None-Match": response.getheader("ETag")})
    assert response.status == 304 and body == b""
    assert connection.sock is socket, "the connection was not kept"

    # In pieces, with pauses of the reader's.
    connection.request("GET", path)
    response = connection.getresponse()
    read = b""
    while piece := response.read(65_537):
        read += piece
    assert read == data

    # A reader that goes away in the middle, and one that promises more than it sends: the node goes on, and nothing is stored.
    gone = http.client.HTTPConnection(address, timeout=60)
    gone.request("GET", path)
    gone.getresponse().read(1000)
    gone.close()
    short = digest_of(data[:1_000_000])
    cut = http.client.HTTPConnection(address, timeout=60)
    cut.putrequest("PUT", "/blobs/" + short)
    cut.putheader("Content-Length", "1000000")
    cut.endheaders(data[:500_000])
    cut.close()
    response, _ = exchange(connection, "GET", "/blobs/" + short)
    assert response.status == 404, response.status

    response, _ = exchange(connection, "DELETE", path)
    assert response.status == 204, response.status
    print("http.client: stored, read in ranges on one connection, asked conditionally, went away")


if __name__ == "__main__":
    main()
