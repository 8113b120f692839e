"""A tenant that answers after a set time and does nothing else: what is measured is who asks.

`python -m bench.tenant PORT:MS PORT:MS ...` answers on each port after so many milliseconds, in one thread. The sandbox
would not do here: it checks what it is sent, as Qlik does, and that takes longer than what is to be measured.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Mapping

LOGIN, TOKEN, ME = "/login/jwt-session", "/oauth/token", "/api/v1/users/me"
USERS = "/api/v1/users/"
A_TOKEN = "t" * 1500


async def main(places: Mapping[int, float]) -> None:
    servers = []
    for port, ms in places.items():
        servers.append(await asyncio.start_server(_door(ms / 1000), "127.0.0.1", port, backlog=1024))
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _door(seconds: float):  # type: ignore[no-untyped-def]  # noqa: ANN202 - asyncio's callback, in no other shape
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _request(reader):
            method, path, headers, body = request
            if seconds:
                await asyncio.sleep(seconds)
            writer.write(_answer(method, path.partition("?")[0], headers, body))
            await writer.drain()
        writer.close()

    return serve


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return method, path, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def _answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Log in whom the JWT names, and remember them in the cookie; tell who that is; mint for anybody."""
    if (method, path) == ("POST", LOGIN):
        payload = headers["authorization"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        person = json.dumps({"sub": claims["sub"], "groups": claims["groups"]}).encode()
        return _http(200, {"status": "ok"}, f"Set-Cookie: eas.sid={person.hex()}; Path=/; Secure; HttpOnly\r\n")
    if (method, path) == ("POST", TOKEN):
        asked = json.loads(body)
        answer = {"access_token": A_TOKEN, "token_type": "bearer", "expires_in": 21_600, "scope": asked["scope"]}
        return _http(200, answer)
    if path == ME:
        return _http(301, {}, f"Location: {USERS}id\r\n")
    if path.startswith(USERS) and (cookie := headers.get("cookie", "")):
        person = json.loads(bytes.fromhex(cookie.partition("=")[2]))
        groups = [{"id": name, "name": name, "providerType": "idp"} for name in person["groups"]]
        user = {"id": f"id-{person['sub']}", "subject": person["sub"], "status": "active", "assignedGroups": groups}
        return _http(200, user)
    return _http(404, {"errors": [{"code": "HTTP-404", "title": "Not found"}]})


def _http(status: int, document: object, headers: str = "") -> bytes:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


if __name__ == "__main__":
    asyncio.run(main({int(port): float(ms) for port, ms in (each.split(":") for each in sys.argv[1:])}))
