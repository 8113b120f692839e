"""The demo's portal: sign in as anyone, open a tenant, see on which path its answers come. Demo only."""

from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from flask import Blueprint, Flask, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from bridge.errors import BadRequest
from bridge.model import Identity, Stage
from bridge.web import cookies, csrf, current, identity, policy
from bridge.web.identity import Caller
from bridge.web.redirects import safe_target

ANY_HOST = {"/healthz"}
FORM = "form:"
REFUSED = 401

blueprint = Blueprint("portal", __name__)


def install(app: Flask) -> None:
    app.before_request(_guard_host)
    app.register_blueprint(blueprint)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    caller = identity.caller()
    return render_template("home.html", states=current.tenants_for(caller.identity), **_person(caller))


@blueprint.get("/login")
def login() -> ResponseReturnValue:
    return _sign_in_page(request.args.get("next", ""))


@blueprint.post("/login")
def sign_in() -> ResponseReturnValue:
    csrf.check(FORM + cookies.form_anchor())
    username, target = request.form.get("username", ""), request.form.get("next", "")
    person = next((each for each in _people() if each.subject.sub == username), None)
    if person is None:
        return make_response(_sign_in_page(target, "There is nobody of that name. Choose one below."), REFUSED)
    answer = make_response(redirect(safe_target(target or _first_page()), 303))
    cookies.set_session(answer, current.bridge().sessions.open(person))
    return answer


@blueprint.post("/logout")
def sign_out() -> ResponseReturnValue:
    caller = identity.caller()
    caller.check_csrf()
    answer = make_response(redirect(url_for("portal.login"), 303))
    identity.sign_out(caller, answer)
    return answer


@blueprint.get("/t/<tenant>/")
def page(tenant: str) -> ResponseReturnValue:
    """Show what the bridge is for: one page, the same on both paths."""
    return _tenant_page(tenant, "portal.html")


@blueprint.get("/t/<tenant>/legacy")
def legacy_page(tenant: str) -> ResponseReturnValue:
    """Show a page as companies have it today; its relative `config` and `token` are the bridge's."""
    return _tenant_page(tenant, "legacy.html")


@blueprint.get("/t/<tenant>/converted")
def converted_page(tenant: str) -> ResponseReturnValue:
    """Show the same page with `embed.js`, its frame and its chart converted."""
    return _tenant_page(tenant, "converted.html")


def _tenant_page(slug: str, template: str) -> str:
    state = current.tenant(slug)
    caller = identity.admitted(state)
    policy.allow_embeds(state.tenant)
    return render_template(
        template,
        tenant=state.tenant,
        rollout=state.rollout,
        path=current.bridge().rollouts.path(state, caller.identity.subject),
        stages=list(Stage),
        ledger_id=uuid5(NAMESPACE_URL, f"{slug}/Ledger"),  # the id of the sandbox's app that not everybody may open
        tenants=[each.tenant for each in current.tenants_for(caller.identity)],
        **_person(caller),
    )


def _guard_host() -> ResponseReturnValue | None:
    """Answer to one name alone, so that no page elsewhere can point its own name at the demo (DNS rebinding)."""
    settings = current.bridge().settings
    own = settings.public_url.split("://")[1]
    if request.host == own or request.path in ANY_HOST:
        return None
    if request.host == own.replace(settings.public_host, "127.0.0.1") and request.method in {"GET", "HEAD"}:
        query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
        return redirect(settings.public_url + quote(request.path) + query)
    raise BadRequest(f"The demo answers at {settings.public_url} alone. Open that address.")


def _people() -> list[Identity]:
    people = current.bridge().people
    return list(people.all()) if people else []


def _first_page() -> str:
    slug = current.bridge().settings.default_tenant
    return url_for("portal.page", tenant=slug) if slug else "/"


def _person(caller: Caller) -> dict[str, Any]:
    """Return what every page of a signed-in person shows."""
    return {
        "person": caller.identity.subject,
        "csrf_token": csrf.token(caller.anchor),
        "is_operator": current.bridge().operators.include(caller.identity),
    }


def _sign_in_page(target: str, problem: str = "") -> Response:
    anchor = cookies.form_anchor()
    answer = make_response(
        render_template(
            "login.html",
            people=[each.subject for each in _people()],
            form_token=csrf.token(FORM + anchor),
            target=safe_target(target) if target else "",
            problem=problem,
        )
    )
    cookies.set_form_anchor(answer, anchor)
    return answer
