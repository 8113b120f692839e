"""`qlik-bridge keys ...`: signing keys, and the two secrets that the settings need."""

import os
import secrets
from pathlib import Path

import click
from cryptography.fernet import Fernet

from bridge.bootstrap import key_files
from bridge.cli.common import json_option, print_json, print_table

PASTE = """\
Wrote {key} (private: stays here, mode 0600) and {certificate}.

In Qlik Cloud: Administration > Identity provider > Create new > type JWT, then paste
  Certificate:  the whole text of {certificate}, also printed below
  Issuer:       a name of your choice, the same as `issuer` in tenants.toml
  Key ID:       {key_id}, the same as `key_id` in tenants.toml
and in tenants.toml:
  signing_key = "{file}"
  key_id = "{key_id}"

{pem}"""


@click.group()
def keys() -> None:
    """Make and list signing keys."""


@keys.command("new")
@click.argument("name")
@click.option("--bits", type=click.Choice(["2048", "4096"]), default="4096", show_default=True, help="RSA key size.")
@click.option("--days", type=click.IntRange(1, 3650), default=1825, show_default=True, help="Life of the certificate.")
@json_option
def new(*, name: str, bits: str, days: int, as_json: bool) -> None:
    """Make an RSA key and its self-signed certificate for tenant NAME, and say what to paste where."""
    pair = key_files(_folder()).create(name, bits=int(bits), days=days)
    shown = {"key": str(pair.key_path), "certificate": str(pair.certificate_path), "key_id": pair.key_id}
    if as_json:
        print_json({**shown, "certificate_pem": pair.certificate_pem, "fingerprint": pair.fingerprint})
    else:
        click.echo(PASTE.format(**shown, file=pair.key_path.name, pem=pair.certificate_pem))


@keys.command("list")
@json_option
def list_keys(*, as_json: bool) -> None:
    """List the keys in BRIDGE_KEYS_DIR."""
    found = [
        {"name": each.name, "bits": each.bits, "expires": each.expires, "fingerprint": each.fingerprint}
        for each in key_files(_folder()).list()
    ]
    if as_json:
        print_json(found)
    else:
        print_table(["key", "bits", "certificate ends", "SHA-256"], [list(each.values()) for each in found])


@keys.command()
def secret() -> None:
    """Print a value for BRIDGE_SECRET_KEY."""
    click.echo(secrets.token_urlsafe(48))


@keys.command()
def encryption() -> None:
    """Print a value for BRIDGE_ENCRYPTION_KEYS."""
    click.echo(Fernet.generate_key().decode())


def _folder() -> Path:
    """Keys come before the other settings, so this reads its own one alone."""
    return Path(os.environ.get("BRIDGE_KEYS_DIR", "keys"))
