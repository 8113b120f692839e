"""Who asks: the product's only Flask."""

from pathlib import Path

from flask import Flask

from bridge.bootstrap import Bridge
from bridge.web import admin, answers, api, current, embed, marking, oidc, ops, portal, problems, sign_in
from bridge.web.allowances import Allowances
from bridge.web.events import ClientEvents
from bridge.web.seats import Seated

PACKED = Path(__file__).parent / "templates"
TEMPLATES = PACKED if PACKED.is_dir() else Path(__file__).parents[2] / "templates"
"""A wheel packs beside this file what a checkout has at its top."""


def create_app(bridge: Bridge) -> Flask:
    """Return the WSGI application around *bridge*."""
    app = Flask(__name__, template_folder=str(TEMPLATES))
    # A redirect of the router would be built from the request's Host, which anyone may write.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.add_template_filter(marking.marked)
    app.add_template_filter(marking.changes)
    app.extensions[current.BRIDGE] = bridge
    app.extensions[current.EVENTS] = ClientEvents(bridge.clock, bridge.metrics)
    app.extensions[current.ALLOWANCES] = Allowances.of(bridge.settings, bridge.clock)
    answers.install(app, bridge)
    problems.install(app)
    app.register_blueprint(ops.blueprint)
    app.register_blueprint(api.blueprint, url_prefix="/api/v1")
    app.register_blueprint(admin.blueprint, url_prefix="/admin")
    if bridge.settings.is_demo:
        portal.install(app)
    if oidc.SOURCE in bridge.settings.identity:
        sign_in.install(app)
    app.register_blueprint(embed.blueprint, url_prefix="/t/<tenant>", name="embed")
    app.register_blueprint(embed.blueprint, name="embed_at_root")
    app.wsgi_app = Seated(app.wsgi_app, bridge.bulkhead)  # type: ignore[method-assign]  # Flask's own way
    return app
