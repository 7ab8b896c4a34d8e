"""What the tests that speak HTTP share: digests, and a client that shows every byte. Python's standard library alone."""

import base64
import hashlib
import http.client
import json

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(data):
    number = int.from_bytes(data, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def digest_of(data):
    """The sha2-256 multihash of `data`, as multibase base58btc."""
    return "z" + base58(b"\x12\x20" + hashlib.sha256(data).digest())


def cid_of(data, codec):
    """The CIDv1 of `data`, as multibase base32: codec 0x71 is dag-cbor."""
    binary = b"\x01" + _varint(codec) + b"\x12\x20" + hashlib.sha256(data).digest()
    return "b" + base64.b32encode(binary).decode().lower().rstrip("=")


def _varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


class Answer:
    """Status, headers and the whole body of an answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def lines(self):
        """The body's JSON lines."""
        return [json.loads(line) for line in self.body.splitlines()]


class Node:
    """A client of the node at `address` (host:port), one connection a request, so that nothing of one request reaches the next."""

    def __init__(self, address, timeout=60):
        self.address = address
        self.timeout = timeout

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=self.timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def put_blob(self, data):
        return self.request("PUT", "/blobs/" + digest_of(data), data)

    def get_blob(self, digest, **headers):
        return self.request("GET", "/blobs/" + digest, headers={name.replace("_", "-"): value for name, value in headers.items()})
