"""Headless Chromium plays a sound from a node, seeking in it: python3 browser.py HOST:PORT

The sound is a WAV file of some minutes, stored as a blob. A page, served from here, plays its start, seeks near its end, plays on, and
reports. A server without ranges cannot pass: the browser would have to fetch all that lies between, and says that it cannot seek.
"""

import http.server
import json
import math
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.parse

from node import Node, digest_of

RATE = 48_000
SECONDS = 300
SEEK_TO = 280

PAGE = """<!doctype html><title>playing</title><audio id="sound" preload="metadata" src="%s"></audio><script>
const sound = document.getElementById("sound");
const seen = {};
const report = () => fetch("/report", { method: "POST", body: JSON.stringify(seen) });
const event = (name) => new Promise((done) => sound.addEventListener(name, done, { once: true }));
const played = (beyond) => new Promise((done) => {
  const look = () => (sound.currentTime > beyond ? done() : setTimeout(look, 20));
  look();
});
sound.addEventListener("error", () => { seen.error = sound.error.message || String(sound.error.code); report(); });
(async () => {
  if (sound.readyState < 1) await event("loadedmetadata");
  seen.duration = sound.duration;
  sound.muted = true;
  await sound.play();
  await played(0.2);
  const arrived = event("seeked");
  sound.currentTime = %d;
  await arrived;
  seen.seekable = sound.seekable.end(0);
  await played(%d + 0.2);
  seen.time = sound.currentTime;
  const loaded = [];
  for (let i = 0; i < sound.buffered.length; i++) loaded.push([sound.buffered.start(i), sound.buffered.end(i)]);
  seen.loaded = loaded;
  await report();
})().catch((error) => { seen.error = String(error); report(); });
</script>"""


def sound():
    """A WAV file: 16 bits, two channels, a tone that rises."""
    frames = bytearray()
    for second in range(SECONDS):
        tone = [int(8000 * math.sin(2 * math.pi * (200 + second) * i / RATE)) for i in range(RATE // 100)]
        frames += b"".join(struct.pack("<hh", value, -value) for value in tone) * 100
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(frames), b"WAVE", b"fmt ", 16, 1, 2, RATE, RATE * 4, 4, 16, b"data", len(frames)),
    )
    return header + bytes(frames)


def browser():
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    sys.exit("no Chromium is installed (Debian: chromium-headless-shell)")


def main():
    address = sys.argv[1]
    data = sound()
    digest = digest_of(data)
    node = Node(address)
    assert node.put_blob(data).status in (200, 201)
    url = f"http://{address}/blobs/{urllib.parse.quote(digest)}"
    page = (PAGE % (url, SEEK_TO, SEEK_TO)).encode()
    reported = threading.Event()
    seen = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = page if self.path == "/" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            seen.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            reported.set()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"]
        flags += [f"--user-data-dir={profile}", "--remote-debugging-port=0", "--no-first-run", "--disable-background-networking"]
        chromium = subprocess.Popen(
            [browser(), *flags, f"http://127.0.0.1:{server.server_port}/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            # Far more than it takes: only so that a browser that hangs ends the run.
            answered = reported.wait(120)
        finally:
            chromium.terminate()
            chromium.wait()
            server.shutdown()
    assert answered, "the page did not report"
    assert "error" not in seen, seen
    assert abs(seen["duration"] - SECONDS) < 0.1 and seen["time"] > SEEK_TO and seen["seekable"] >= SECONDS - 0.1, seen
    loaded = sum(end - start for start, end in seen["loaded"])
    assert loaded < SECONDS, f"it loaded all of it: {seen}"
    assert node.request("DELETE", "/blobs/" + digest).status == 204
    print(f"Chromium: played, sought to {SEEK_TO} s of {SECONDS} s and played on, having loaded {loaded:.0f} s")


if __name__ == "__main__":
    main()
