"""`qlik-bridge tokens ...`: end issued tokens."""

import click

from bridge.cli.common import actor, json_option, print_json, wired
from bridge.errors import EXIT_UPSTREAM, BadRequest
from bridge.model import AuditEvent


@click.group()
def tokens() -> None:
    """End issued tokens."""


@tokens.command()
@click.option("--tenant", help="Slug of the tenant.")
@click.option("--subject", help="`sub` of the person.")
@click.option("--all", "everything", is_flag=True, help="Every token of every tenant.")
@click.option("--reason", default="", help="Why; kept in the audit.")
@json_option
def revoke(*, tenant: str | None, subject: str | None, everything: bool, reason: str, as_json: bool) -> None:
    """Revoke issued tokens, here at once and at the tenant by one call each. Exit 3 when some calls failed."""
    if not (tenant or subject or everything):
        raise BadRequest("Say which tokens: --tenant, --subject, both, or --all.")
    bridge = wired()
    if tenant:
        bridge.tenants.get(tenant)
    done = bridge.broker.revoke(tenant=tenant, sub=subject)
    outcome = {"revoked": done.revoked, "failed": done.failed}
    bridge.audit.append(
        AuditEvent(bridge.clock(), actor(), "tokens.revoke", tenant, reason, {"subject": subject}, outcome)
    )
    if as_json:
        print_json(outcome)
    else:
        click.echo(f"Revoked {done.revoked}, failed {done.failed}.")
    if done.failed:
        click.echo(
            "Failed ones are out of use here already; run the command again to end them at the tenant.", err=True
        )
        raise SystemExit(EXIT_UPSTREAM)
