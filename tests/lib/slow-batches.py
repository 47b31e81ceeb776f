# tests/lib/slow-batches.py - batches of lookups whose answers are not read until somebody says so:
# slow-batches.py COUNT URL CERT KEY LINES GO. Prints "sent"; when something is written to the pipe GO it
# reads the answers, and prints of each how many lines it has and the totals of the first and the last.
import json, socket, ssl, sys, urllib.parse

count, url, cert, key, lines, go = sys.argv[1:]
at = urllib.parse.urlsplit(url)
body = open(lines, "rb").read()
head = f"POST /v1/lookups HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.load_cert_chain(cert, key)


def send():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((at.hostname, at.port))
    tls = context.wrap_socket(s)
    tls.sendall(head.encode() + body)
    return tls.makefile("rb")


def read(answer):
    while answer.readline().strip():
        pass
    text = b""
    while (size := int(answer.readline(), 16)) > 0:
        text += answer.read(size)
        answer.readline()
    found = [json.loads(line)["total"] for line in text.splitlines()]
    print(f"{len(found)} lines, first {found[0]}, last {found[-1]}")


answers = [send() for _ in range(int(count))]
print("sent", flush=True)
open(go).read()
for answer in answers:
    read(answer)
