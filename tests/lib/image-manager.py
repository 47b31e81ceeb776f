#!/usr/bin/python3
"""image-manager.py SOCKET FOLDER - plays the image manager (rfc/0011) for xenod's tests.

FOLDER/names.json    {NAME: {"ok": {...}} or {"error": {...}}}: what names stand for
FOLDER/layers.json   {LAYER: {...}}: what progress says of a layer
FOLDER/wait          as long as this file is there, names are not answered
FOLDER/log           what was asked, a line each
Files are read anew for each request."""
import asyncio
import json
import os
import sys

path, folder = sys.argv[1], sys.argv[2]
unknown = {"error": {"token": "oci.unknown", "text": "the registry has no such image", "errno": 2}}


def load(name):
    try:
        with open(f"{folder}/{name}", encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def progress(layer):
    said = load("layers.json").get(layer, {"state": "known"})
    return {"layer": layer, "size": 0, "fetched": 0, "total": 0, **said}


async def answer(request, writer):
    op = request["op"]
    if op == "resolve":
        while os.path.exists(f"{folder}/wait"):
            await asyncio.sleep(0.02)
        reply = load("names.json").get(request["name"], unknown)
    elif op == "progress":
        reply = {"ok": {"layers": [progress(x) for x in request["layers"]]}}
    else:
        reply = {"ok": {}}
    body = json.dumps({"id": request["id"], **reply}).encode()
    writer.write(len(body).to_bytes(4, "big") + body)


async def serve(reader, writer):
    try:
        while True:
            size = int.from_bytes(await reader.readexactly(4), "big")
            request = json.loads(await reader.readexactly(size))
            with open(f"{folder}/log", "a", encoding="utf-8") as f:
                f.write(json.dumps(request) + "\n")
            asyncio.ensure_future(answer(request, writer))
    except asyncio.IncompleteReadError:
        writer.close()


async def main():
    server = await asyncio.start_unix_server(serve, path)
    async with server:
        await server.serve_forever()


asyncio.run(main())
