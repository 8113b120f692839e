"""The WSGI door of the rivals, for servers that take no factory."""

from bench.rivals import create_app

app = create_app()
