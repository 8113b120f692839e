"""Where people and operators sign in by OpenID Connect, and out again."""

from flask import Blueprint, Flask, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from bridge.web import cookies, csrf, current, identity, oidc
from bridge.web.proxies import client_address
from bridge.web.redirects import safe_target

LONGEST_TARGET = 512
"""Characters. A longer one would leave no room in the cookie."""

blueprint = Blueprint("sign_in", __name__)


def install(app: Flask) -> None:
    oidc.install(app)
    app.register_blueprint(blueprint)


@blueprint.get("/login")
def login() -> ResponseReturnValue:
    """Say who is signed in. Whoever is not and wants to go on is sent to the sign-in service at once."""
    target, caller = request.args.get("next"), identity.by_cookie()
    if target is not None and caller is None:
        return oidc.start(_own(target))
    return render_template(
        "sign_in.html",
        person=caller.identity.subject if caller else None,
        csrf_token=csrf.token(caller.anchor) if caller else "",
        is_operator=bool(caller and current.bridge().operators.include(caller.identity)),
        service=caller.identity.issuer if caller else current.bridge().settings.oidc_issuer,
        target=_own(target or ""),
    )


@blueprint.get("/login/callback")
def callback() -> ResponseReturnValue:
    """Finish what `/login` started: open a session for whoever the service vouches for."""
    with current.allowances().for_proof(client_address(current.bridge().settings)):
        person, target = oidc.finish()
    answer = make_response(redirect(target, 303))
    cookies.set_session(answer, current.bridge().sessions.open(person))
    return answer


@blueprint.post("/logout")
def sign_out() -> ResponseReturnValue:
    """Sign out here, and at the service where it can be asked for that."""
    caller = identity.caller()
    caller.check_csrf()
    onward = oidc.end_address() if caller.identity.source == oidc.SOURCE else None
    # No redirect to the service: it would belong to our form, and `form-action` lets forms go to our own pages alone.
    answer = make_response(render_template("signed_out.html", address=onward) if onward else redirect(oidc.PATH, 303))
    identity.sign_out(caller, answer)
    return answer


def _own(target: str) -> str:
    """Return a path of ours, as it was asked for or else the sign-in page."""
    is_ours = 0 < len(target) <= LONGEST_TARGET and safe_target(target) == target
    return target if is_ours else oidc.PATH
