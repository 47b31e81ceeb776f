# tests/lib/hostile-registry.py LAYOUT - a registry that does as badly as the repository's name says.
#
# It serves the images of the OCI layout LAYOUT on a port of 127.0.0.1, which it prints; a second one,
# printed after it, is where redirects lead. GET /log tells the requests as lines; DELETE /log
# forgets them. Pushed blobs are kept in memory.
import hashlib, json, os, re, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

layout = sys.argv[1]
log, uploads, pushed, seen = [], {}, {}, {}
lock = threading.Lock()


def blob(digest):
    try:
        with open(os.path.join(layout, "blobs/sha256", digest[7:]), "rb") as f:
            return f.read()
    except OSError:
        return pushed.get(digest)


def named(tag):
    with open(os.path.join(layout, "index.json")) as f:
        for m in json.load(f)["manifests"]:
            if m.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
                return blob(m["digest"])
    return None


def once(key):
    """Is this the first time?"""
    with lock:
        seen[key] = seen.get(key, 0) + 1
        return seen[key] == 1


# What becomes of a manifest.
def size_lies(m):
    m["layers"][0]["size"] += 1


def escapes(m):
    m["layers"][0]["digest"] = "sha256:../../../../../../etc/passwd"


def escapes_long(m):
    m["layers"][0]["digest"] = "sha256:" + "../" * 21 + "x"


def other_config(m):
    m["config"]["digest"] = m["layers"][0]["digest"]
    m["config"]["size"] = m["layers"][0]["size"]


def many_layers(m):
    m["layers"] = m["layers"] * 200


manifests = {f.__name__: f for f in (size_lies, escapes, escapes_long, other_config, many_layers)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        if "Content_Length" not in headers and "Transfer_Encoding" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def note(self):
        line = "%s %s" % (self.command, self.path)
        if self.headers.get("Authorization"):
            line += " auth"
        if self.headers.get("Content-Range"):
            line += " " + self.headers["Content-Range"]
        with lock:
            log.append(("away " if self.server.away else "") + line)

    def any(self):
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = any

    def answer(self):
        if self.path == "/log":
            with lock:
                text = "".join(l + "\n" for l in log).encode()
                if self.command == "DELETE":
                    log.clear()
                    seen.clear()
            return self.say(200, text)
        self.note()
        if self.path.startswith("/token"):
            return self.say(200, b'{"token":"t"}')
        m = re.match(r"/v2/([a-z0-9_]+)/(\w+)/(manifests|blobs)/(.*)$", self.path)
        if not m:
            return self.say(404)
        trick, name, what, ref = m.groups()
        if trick.startswith("guarded") and not self.server.away and self.headers.get("Authorization") != "Bearer t":
            return self.challenge()
        if trick == "never_enough":
            return self.challenge()
        if trick == "token_elsewhere" and not self.headers.get("Authorization"):
            return self.challenge(away.server_port)
        if trick == "come_later" and what == "blobs" and once("later"):
            return self.say(429, Retry_After="1")
        if trick == "come_next_year":
            return self.say(429, Retry_After="31536000")
        if trick == "loop":
            return self.say(307, Location=self.path)
        if what == "manifests":
            return self.manifest(trick, name, ref)
        if ref.startswith("uploads/") or self.command in ("POST", "PATCH", "PUT"):
            return self.upload(trick, name, ref)
        self.get_blob(trick, ref)

    def challenge(self, port=None):
        here = "http://127.0.0.1:%d/token" % (port or self.server.server_port)
        self.say(401, WWW_Authenticate='Bearer realm="%s",service="x"' % here)

    def manifest(self, trick, name, ref):
        if self.command == "PUT":
            body = self.rfile.read(int(self.headers["Content-Length"]))
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            if trick == "keeps_another":
                digest = "sha256:" + "0" * 64
            return self.say(201, Docker_Content_Digest=digest)
        if trick == "giant_index":
            return self.say(200, b'{"schemaVersion":2,"manifests":[' + b" " * (5 << 20) + b"]}")
        if trick == "long_index":
            one = b'{"mediaType":"x","digest":"sha256:%s","size":1}' % (b"0" * 64)
            return self.say(200, b'{"schemaVersion":2,"manifests":[' + b",".join([one] * 20000) + b"]}")
        if trick == "index_in_index":
            return self.nested(ref)
        text = blob(ref) if ref.startswith("sha256:") else named(name + ":" + ref)
        if text is None:
            return self.say(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no\x1b[31m"}]}')
        if trick in manifests:
            doc = json.loads(text)
            manifests[trick](doc)
            text = json.dumps(doc).encode()
        if trick == "other_manifest":
            text += b" "
        self.say(200, text, Content_Type="application/vnd.oci.image.manifest.v1+json")

    def nested(self, ref):
        # Each names the next, whose digest is known, since the deepest is made first.
        text = b'{"schemaVersion":2,"manifests":[]}'
        for _ in range(8):
            pushed["sha256:" + hashlib.sha256(text).hexdigest()] = text
            text = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", "size": len(text),
                               "digest": "sha256:" + hashlib.sha256(text).hexdigest()}]}).encode()
        self.say(200, blob(ref) if ref.startswith("sha256:") else text)

    def get_blob(self, trick, ref):
        data = blob(ref)
        if data is None:
            return self.say(404)
        if self.command == "HEAD":
            return self.say(200, Content_Length=str(len(data)))
        if trick in ("elsewhere", "guarded_elsewhere") and not self.server.away:
            return self.say(307, Location="http://127.0.0.1:%d%s" % (away.server_port, self.path))
        big = len(data) > 10000
        m = re.match(r"bytes=(\d+)-(\d+)$", self.headers.get("Range", ""))
        first, last = (int(m[1]), int(m[2])) if m else (0, len(data) - 1)
        if trick == "no_ranges":
            m = None
            first, last = 0, len(data) - 1
        part = bytearray(data[first : last + 1])
        if big and (trick == "wrong_bytes" or (trick == "wrong_pieces" and m)):
            part[len(part) // 2] ^= 1
        if big and trick == "shorter":
            part = part[:-1]
        if big and trick == "endless":
            return self.endless()
        if big and trick == "drips":
            return self.drip(len(part))
        head = {"Content_Length": str(len(part))}
        if m:
            head["Content_Range"] = "bytes %d-%d/%d" % (first, last, len(data))
        if big and trick == "breaks_off" and once(self.path):
            self.say(206 if m else 200, bytes(part[: len(part) // 2]), **head)
            self.close_connection = True
            return
        if big and trick == "slow":
            return self.slowly(bytes(part), head)
        self.say(206 if m else 200, bytes(part), **head)

    def slowly(self, part, head):
        self.send_response(206 if "Content_Range" in head else 200)
        for k, v in head.items():
            self.send_header(k.replace("_", "-"), v)
        self.end_headers()
        for i in range(0, len(part), len(part) // 20):
            self.wfile.write(part[i : i + len(part) // 20])
            time.sleep(0.05)

    def endless(self):
        self.say(200, Transfer_Encoding="chunked")
        for _ in range(100000):
            self.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    def drip(self, size):
        self.say(200, Content_Length=str(size))
        for _ in range(60):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.5)

    def upload(self, trick, name, ref):
        if self.command == "POST":
            where = "/v2/%s/%s/blobs/uploads/%s" % (trick, name, os.urandom(8).hex())
            uploads[where] = bytearray()
            if trick == "send_elsewhere":
                where = "http://127.0.0.1:%d%s" % (away.server_port, where)
            if trick == "send_by_a_trick":
                where = "//127.0.0.1:%d%s" % (away.server_port, where)
            return self.say(202, Location=where)
        where = self.path.split("?")[0]
        if where not in uploads:
            return self.say(404)
        have = uploads[where]
        size = int(self.headers.get("Content-Length", 0))
        if trick == "forgets" and self.command == "GET":
            return self.say(404)
        if self.command == "PATCH":
            if trick in ("takes_half", "forgets") and size > 10000 and once("patch"):
                have += self.rfile.read(size // 2)
                self.close_connection = True
                self.connection.close()
                return
            if trick == "busy" and once(self.path):
                self.close_connection = True
                return self.say(503, Retry_After="1")
            if trick == "never_takes":
                self.close_connection = True
                return self.say(503)
            have += self.rfile.read(size)
        if self.command == "PUT":
            have += self.rfile.read(size)
            digest = self.path.split("digest=")[1]
            right = digest == "sha256:" + hashlib.sha256(have).hexdigest()
            if right:
                pushed[digest] = bytes(have)
                del uploads[where]
            if trick == "says_nothing" and once("close"):
                self.close_connection = True
                return
            return self.say(201 if right else 400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
        self.say(204 if self.command == "GET" else 202, Location=where, Range="0-%d" % max(len(have) - 1, 0))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


here, away = (Server(("127.0.0.1", 0), Handler) for _ in range(2))
here.away, away.away = False, True
print(here.server_port, away.server_port, flush=True)
threading.Thread(target=away.serve_forever, daemon=True).start()
here.serve_forever()
