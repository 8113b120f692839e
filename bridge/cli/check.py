"""`qlik-bridge check`: every mistake at once."""

import os

import click

from bridge.bootstrap import Bridge, build
from bridge.cli.common import json_option, print_json
from bridge.errors import BridgeError, ConfigError
from bridge.model import Tenant
from bridge.settings import read_settings, settings_overview
from bridge.telemetry import configure_logging


@click.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check settings, database and signing keys; list every mistake, exit 2 when there is one."""
    settings = read_settings(os.environ)
    configure_logging("error")
    bridge = build(settings)
    mistakes = _probe_mistakes(bridge) + _key_mistakes(bridge)
    if settings.default_tenant and settings.default_tenant not in bridge.tenants.all():
        mistakes.append(f"BRIDGE_DEFAULT_TENANT names {settings.default_tenant}, which is not applied yet")
    if mistakes:
        raise ConfigError(mistakes)
    if as_json:
        print_json({"ok": True, "tenants": sorted(bridge.tenants.all()), "warnings": bridge.keys.warnings()})
        return
    click.echo(settings_overview(settings))
    for warning in bridge.keys.warnings():
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"No mistakes found. Tenants: {', '.join(sorted(bridge.tenants.all())) or 'none yet'}.")


def _probe_mistakes(bridge: Bridge) -> list[str]:
    found = []
    for probe in bridge.probes:
        try:
            probe.check()
        except BridgeError as error:
            found.append(error.message)
    return found


def _key_mistakes(bridge: Bridge) -> list[str]:
    found = []
    for state in bridge.tenants.all().values():
        for name in _key_files(state.tenant):
            try:
                bridge.keys.load(name)
            except ConfigError as error:
                found += [f"tenant {state.tenant.slug}: {mistake}" for mistake in error.mistakes]
            except BridgeError as error:
                found.append(f"tenant {state.tenant.slug}: {error.message}")
    return found


def _key_files(tenant: Tenant) -> list[str]:
    clients = [client for client in (tenant.issuing_client, tenant.management_client) if client]
    names = [tenant.signing_key, tenant.sync_key, *(client.key for client in clients)]
    return [name for name in names if name]
