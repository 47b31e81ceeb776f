#!/usr/bin/env python3
"""lying-rd.py FOLDER ANSWER - prints its port; an RD that gives one answer to everybody, changed by the first part
of the path: with FOLDER's key and credential, as another RD of the same XenoCorp would."""
import copy, http.server, json, ssl, sys

folder, answer = sys.argv[1], json.loads(sys.argv[2])


def change(lie):
    told = copy.deepcopy(answer)
    adverts = [a["advert"] for a in told["answers"]]
    for i, a in enumerate(told["answers"]):
        if lie == "id":
            a["id"] = "a" * 32
        elif lie == "signature":
            at = len(a["advert"]) // 2
            a["advert"] = a["advert"][:at] + ("A" if a["advert"][at] != "A" else "B") + a["advert"][at + 1:]
        elif lie == "swapped":
            a["advert"] = adverts[i - 1]
            a.pop("delta", None)
        elif lie == "endpoint":
            a["endpoint"] = "https://192.0.2.66:443"
    return json.dumps(told).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        lie = self.path.split("/")[1]
        body = b'{"colour":"red"}' if lie == "nonsense" else change(lie)
        self.send_response(429 if lie == "refuse" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(folder + "/credential.pem", folder + "/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
