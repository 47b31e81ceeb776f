# tests/lib/xis-peer.py FOLDER PORT - an information service that believes everybody (RFC 0016, 2).
#
# It is the party whose key and credential are FOLDER.key and FOLDER.pem. What it hears is a line in
# FOLDER.heard, "METHOD VERSION [BASE]", and the document is in FOLDER.METHOD. It keeps the newest of
# each id in memory. What FOLDER.mode holds: "base" refuses deltas, "hang" never answers, "refuse"
# refuses everything.
import base64, json, os, re, ssl, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

me, port, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3]
kept, lock = {}, threading.Lock()


def element(doc, name):
    m = re.search("<%s>([^<]*)</%s>" % (name, name), doc)
    return m and m.group(1)


class Peer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def answer(self, status, body, token=None):
        if token:
            body = dict(body, type=token, status=status, title=token, detail=token)
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/problem+json" if token else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def hear(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        payload = text.split(b".")[1]
        doc = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)).decode()
        version, base = int(element(doc, "Version")), element(doc, "Base")
        with lock:
            with open("%s.%s" % (me, self.command), "w") as f:
                f.write(doc)
            with open(me + ".heard", "a") as f:
                f.write("%s %d %s\n" % (self.command, version, base or ""))
            return self.judge(self.path.split("/")[-1], version, base)

    def judge(self, who, version, base):
        how = open(me + ".mode").read().strip() if os.path.exists(me + ".mode") else ""
        old = kept.get(who)
        if how == "hang":
            time.sleep(3600)
        if how == "refuse":
            return 400, {}, "advert.form"
        if base and (how == "base" or not old or old["base"] != int(base)):
            return 409, {}, "xis.base"
        if old and version <= old["version"]:
            return 409, {"version": old["version"]}, "xis.old"
        kept[who] = {"version": version, "base": int(base or version)}
        return 200, {"id": who, "version": version}, None

    def do_PUT(self):
        self.answer(*self.hear())

    do_PATCH = do_DELETE = do_PUT

    def do_GET(self):
        self.answer(200, {"state": "ok"})


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.minimum_version = ssl.TLSVersion.TLSv1_3
tls.load_cert_chain(me + ".pem", me + ".key")
tls.load_verify_locations(ca)
tls.verify_mode = ssl.CERT_OPTIONAL
server = ThreadingHTTPServer(("127.0.0.1", port), Peer)
server.daemon_threads = True
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
