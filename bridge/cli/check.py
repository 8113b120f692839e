"""`qlik-bridge check`: every mistake at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import click

from bridge.bootstrap import Bridge, build
from bridge.bootstrap.guard import beyond_reach
from bridge.cli.common import json_option, print_json
from bridge.errors import BridgeError, ConfigError, StoreError, UnreadableTenant
from bridge.sealing import LOCKED
from bridge.settings import read_settings, settings_overview
from bridge.telemetry import configure_logging


@click.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check settings, database and signing keys; list every mistake, exit 2 when there is one."""
    settings = read_settings(os.environ)
    configure_logging("error")
    try:
        bridge = build(settings)
        click.get_current_context().call_on_close(bridge.close)
        mistakes = list(_mistakes(bridge))
    except StoreError as error:
        mistakes = [f"{error.message} {error.detail}".strip()]
    if mistakes:
        raise ConfigError(mistakes)
    warnings = list(_warnings(bridge))
    if as_json:
        print_json({"ok": True, "tenants": sorted(bridge.tenants.all()), "warnings": warnings})
        return
    click.echo(settings_overview(settings))
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"No mistakes found. Tenants: {', '.join(sorted(bridge.tenants.all())) or 'none yet'}.")


def _mistakes(bridge: Bridge) -> Iterator[str]:
    default = bridge.settings.default_tenant
    states, unreadable = bridge.tenants.read()
    if default and default not in {*states, *unreadable}:
        yield f"BRIDGE_DEFAULT_TENANT names {default}, which is not applied yet"
    yield from (UnreadableTenant.named(slug, each.problem).message for slug, each in unreadable.items())
    for probe in bridge.probes:
        yield from _what_raises(probe.check)
    if bridge.oidc:  # no probe of `/readyz`: who is signed in goes on without it
        yield from _what_raises(bridge.oidc.check)
    for slug, state in states.items():
        yield from (f"tenant {slug}: the secret of `{name}` is locked. {LOCKED}" for name in state.tenant.locked())
        for name in state.tenant.key_files():
            yield from (f"tenant {slug}: {each}" for each in _what_raises(partial(bridge.keys.load, name)))


def _what_raises(check: Callable[[], object]) -> Sequence[str]:
    try:
        check()
    except ConfigError as error:
        return error.mistakes
    except BridgeError as error:
        return [error.message]
    return []


def _warnings(bridge: Bridge) -> Iterator[str]:
    yield from bridge.keys.warnings()
    yield from beyond_reach(bridge.settings, (state.tenant for state in bridge.tenants.all().values()))
    known = {*bridge.settings.identity, bridge.settings.assertion_issuer, bridge.settings.oidc_issuer}
    for slug, state in bridge.tenants.all().items():
        if not known & set(state.tenant.admits):
            yield f"tenant {slug} admits {', '.join(state.tenant.admits)}, and nobody can sign in that way"
