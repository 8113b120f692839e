"""The WSGI door of a checkout: `gunicorn app:app`; of an installed package it is `bridge.wsgi:app`."""

from bridge.wsgi import app

__all__ = ["app"]
