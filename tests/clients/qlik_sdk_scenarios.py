"""Runs scenarios with Qlik's own qlik-sdk, and prints what the caller of each saw as one line of JSON.

Run by the python of .venv-qlik-sdk. It reads one scenario a line: ["NAME", {"host": ..., "client_id": ..., ...}].
Each has a process of its own, made from this one: to import the SDK takes longer than any of them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import requests
from qlik_sdk import (  # type: ignore[import-not-found]  # installed in .venv-qlik-sdk alone
    Auth,
    AuthType,
    Config,
    JSONPatchArray,
    Qlik,
    UserPostSchema,
    generate_signed_token,
)

Json = dict[str, Any]

IMPERSONATION = "urn:qlik:oauth:user-impersonation"


def config(given: Json) -> Any:  # noqa: ANN401 - the SDK has no types
    return Config(
        host=given["host"],
        auth_type=AuthType.OAuth2,
        client_id=given["client_id"],
        client_secret=given["client_secret"],
        scope=list(given.get("scope", ["admin_classic"])),
    )


def authorized(given: Json) -> Any:  # noqa: ANN401 - the SDK has no types
    """Return the SDK after client_credentials, which it sends with HTTP Basic."""
    qlik = Qlik(config(given))
    qlik.auth.authorize()
    return qlik


def bearer(given: Json, token: str) -> Any:  # noqa: ANN401 - the SDK has no types
    return Qlik(Config(host=given["host"], auth_type=AuthType.APIKey, api_key=token))


def shown(user: Any) -> Json:  # noqa: ANN401 - the SDK has no types
    groups = [group.name for group in user.assignedGroups or []]
    return {"id": user.id, "subject": user.subject, "name": user.name, "status": user.status, "groups": groups}


def authorize(given: Json) -> Json:
    answer: Json = Auth(config(given)).authorize()
    return answer


def me(given: Json) -> Json:
    return shown(authorized(given).users.get_me())


def count(given: Json) -> int:
    total: int = authorized(given).users.count().total
    return total


def listed(given: Json) -> list[Json]:
    return [shown(user) for user in authorized(given).users.get_users(**given["query"])]


def paged(given: Json) -> list[str]:
    """Walk all pages; the SDK asks for 100 a page from the second on."""
    return [user.subject for user in authorized(given).users.get_users(**given["query"]).pagination]


def create(given: Json) -> Json:
    return shown(authorized(given).users.create(UserPostSchema(**given["user"])))


def patch(given: Json) -> Json:
    """Patch with a plain list, which is what arrives as it was meant."""
    qlik = authorized(given)
    user = qlik.users.get(given["user_id"])
    user.patch(given["operations"])
    return shown(qlik.users.get(given["user_id"]))


def patch_typed(given: Json) -> None:
    """Patch with the SDK's own JSONPatchArray, which it turns into an empty body."""
    authorized(given).users.get(given["user_id"]).patch(JSONPatchArray(given["operations"]))


def delete(given: Json) -> None:
    authorized(given).users.get(given["user_id"]).delete()


def groups(given: Json) -> list[str]:
    return [group.name for group in authorized(given).groups.get_groups()]


def rest(given: Json) -> Json:
    answer: Json = authorized(given).auth.rest(path=given["path"]).json()
    return answer


def unauthorized(given: Json) -> Json:
    """Call before authorize(); the SDK has no token to send."""
    return shown(Qlik(config(given)).users.get_me())


def create_all(given: Json) -> list[Any]:
    """Create users with one token; a refusal does not end it."""
    users = authorized(given).users
    return [attempt(lambda user=user: users.create(UserPostSchema(**user)).subject) for user in given["users"]]


def revoke(given: Json) -> Json:
    """Revoke the token, then use it once more."""
    qlik = authorized(given)
    token = qlik.config.api_key
    before = shown(qlik.users.get_me())
    qlik.auth.deauthorize()
    return {"before": before, "after": attempt(lambda: shown(bearer(given, token).users.get_me()))}


def expiry(given: Json) -> Json:
    """All tokens expire between two calls; the SDK does not ask for another."""
    qlik = authorized(given)
    before = shown(qlik.users.get_me())
    requests.post(f"{given['host']}/_sandbox/tokens/expire", timeout=10).raise_for_status()
    return {"before": before, "after": attempt(lambda: shown(qlik.users.get_me()))}


def impersonate(given: Json) -> Json:
    """Impersonate by hand, as the SDK has nothing for it: its rest() adds the client's Basic header."""
    wanted = {"grant_type": IMPERSONATION, "user_lookup": given["user_lookup"], "scope": "user_default"}
    token = Auth(config({**given, "scope": []})).rest(path="/oauth/token", method="POST", data=wanted).json()
    return {"token": token, "me": shown(bearer(given, token["access_token"]).users.get_me())}


def signed(given: Json) -> str:
    """Sign a login JWT. `not_before` and `expires_in` are unix times that may lie at most an hour apart.

    The example in the SDK's documentation has not_before=0 and a datetime without a zone: the first makes the JWT
    live for decades, which a tenant refuses, and the second is off by the machine's distance from UTC.
    """
    now = int(time.time())
    claims = {"sub_type": "user", "not_before": now - 5, "expires_in": now + 60, **given["claims"]}
    token: str = generate_signed_token(crt=given["private_key"], keyid=given["kid"], **claims)
    return token


def log_in(given: Json, token: str) -> Any:  # noqa: ANN401 - the SDK has no types
    return bearer(given, token).auth.rest(path="/login/jwt-session", method="POST")


def jwt_session(given: Json) -> Json:
    """Log in by JWT, ask for a CSRF token with and without the cookies, then use the JWT once more."""
    token = signed(given)
    answer = log_in(given, token)
    cookies = answer.cookies.get_dict()
    # Without a client secret the SDK adds no Authorization header, so that the cookies speak.
    nobody = Auth(Config(host=given["host"], auth_type=AuthType.OAuth2, client_id="none", redirect_url=given["host"]))
    header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    csrf = nobody.rest(path="/csrf-token", headers=header)
    return {
        "status": answer.status_code,
        "body": answer.json(),
        "cookies": sorted(cookies),
        "csrf_status": csrf.status_code,
        "csrf_matches": csrf.headers["qlik-csrf-token"] == cookies["_csrfToken"],
        "without_cookies": attempt(lambda: nobody.rest(path="/csrf-token").status_code),
        "again": attempt(lambda: log_in(given, token).status_code),
    }


def jwt_refused(given: Json) -> int:
    status: int = log_in(given, signed(given)).status_code
    return status


def attempt(step: Any) -> Any:  # noqa: ANN401 - any step with any result
    """Return `{"ok": result}`, or `{"error": ...}` with what an except clause could read."""
    try:
        return {"ok": step()}
    except Exception as error:  # noqa: BLE001 - which exception it is, is the question
        told: Json = {"name": type(error).__name__, "message": str(error)}
        response = getattr(error, "response", None)
        if response is not None:
            told |= {
                "status": response.status_code,
                "body": response.json(),
                "retry_after": response.headers.get("Retry-After"),
            }
        return {"error": told}


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        authorize,
        count,
        create,
        create_all,
        delete,
        expiry,
        groups,
        impersonate,
        jwt_refused,
        jwt_session,
        listed,
        me,
        paged,
        patch,
        patch_typed,
        rest,
        revoke,
        unauthorized,
    )
}


def serve() -> None:
    for line in sys.stdin:
        name, given = json.loads(line)
        if os.fork() == 0:
            print(json.dumps(attempt(lambda: SCENARIOS[name](given))), flush=True)  # noqa: B023, T201 - at once; the result
            os._exit(0)
        _, status = os.wait()
        if status:
            print(json.dumps({"died": os.waitstatus_to_exitcode(status)}), flush=True)  # noqa: T201 - the result


if __name__ == "__main__":
    serve()
