"""The console: pages for operators. They work without JavaScript; a small script puts times into the viewer's zone."""

from flask import Blueprint

from bridge.web.admin import budget, home, kill_all, set_up, settings, tenant, trail, trends, watch

__all__ = ["blueprint"]

blueprint = Blueprint("admin", __name__)
for _part in (home, budget, kill_all, set_up, tenant, trends, watch, trail, settings):
    _part.install(blueprint)
