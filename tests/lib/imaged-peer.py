#!/usr/bin/python3
# tests/lib/imaged-peer.py SOCKET FROM STORE - a small peer of rfc/0011 for tests of who asks: it has what the
# image store FROM has. Manifests and configs are in STORE already; layers with a table are by pieces,
# others are copied there. A file SOCKET.MODE changes it: "hang": nothing is answered; "slow": each
# answer takes a tenth of a second; "lie": bytes are wrong; "away": no bytes; "forgot": no layer is known
# until a name is resolved. What is asked goes to SOCKET.asked, a line each.
import json, os, shutil, socket, struct, sys, threading, time

path, source, store = sys.argv[1:]
POSITION = "io.github.containers.zstd-chunked.manifest-position"
CHECKSUM = "io.github.containers.zstd-chunked.manifest-checksum"


def mode(name):
    return os.path.exists(f"{path}.{name}")


def blob(of, digest):
    return f"{of}/blobs/sha256/{digest[7:]}"


def layers():
    for item in json.load(open(f"{store}/index.json"))["manifests"]:
        yield from json.load(open(blob(store, item["digest"])))["layers"]


def fail(token, number):
    return {"error": {"token": token, "text": "the test's peer says so", "errno": number}}, b""


def fetch(q):
    for layer in layers():
        if layer["digest"] != q["layer"]:
            continue
        notes = layer.get("annotations", {})
        if POSITION not in notes:
            shutil.copy(blob(source, q["layer"]), blob(store, q["layer"]))
            return {"ok": {"way": "whole", "size": layer["size"]}}, b""
        offset, size, raw, _ = map(int, notes[POSITION].split(":"))
        table = {"offset": offset, "size": size, "raw_size": raw, "sha256": notes[CHECKSUM][7:]}
        return {"ok": {"way": "pieces", "size": layer["size"], "table": table}}, b""
    return fail("agent.layer", 2)


# "oci://HOST/NAME:TAG", whatever the host and the tag.
def resolve(q):
    if mode("forgot"):
        os.remove(f"{path}.forgot")
    name = q["name"].rsplit("/", 1)[1].split(":")[0].split("@")[0]
    for item in json.load(open(f"{store}/index.json"))["manifests"]:
        if item.get("annotations", {}).get("org.opencontainers.image.ref.name") != name:
            continue
        found = json.load(open(blob(store, item["digest"])))["layers"]
        here = [{"digest": l["digest"], "size": l["size"], "table": POSITION in l.get("annotations", {})} for l in found]
        answer = {"manifest": item["digest"], "name": q["name"], "kind": "template", "old": False, "layers": here}
        return {"ok": answer}, b""
    return fail("oci.unknown", 2)


def read(q):
    if mode("away"):
        return fail("agent.source", 5)
    if mode("forgot"):
        return fail("agent.layer", 2)
    with open(blob(source, q["layer"]), "rb") as f:
        f.seek(q["offset"])
        data = f.read(q["length"])
    if mode("lie"):
        data = bytes(b ^ 255 for b in data)
    return {"ok": {"length": len(data)}}, data


def exactly(c, n):
    data = b""
    while len(data) < n:
        more = c.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def serve(c):
    try:
        while True:
            q = json.loads(exactly(c, struct.unpack(">I", exactly(c, 4))[0]))
            with open(f"{path}.asked", "a") as log:
                print(q["op"], q.get("offset", ""), q.get("length", ""), file=log)
            while mode("hang"):
                time.sleep(0.05)
            if mode("slow"):
                time.sleep(0.1)
            reply, data = {"fetch": fetch, "resolve": resolve, "read": read}[q["op"]](q)
            text = json.dumps({"id": q["id"], **reply}).encode()
            c.sendall(struct.pack(">I", len(text)) + text + data)
    except (EOFError, OSError):
        c.close()


listener = socket.socket(socket.AF_UNIX)
if os.path.exists(path):
    os.unlink(path)
listener.bind(path)
listener.listen(64)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
