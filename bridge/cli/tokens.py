"""`qlik-bridge tokens ...`: end issued tokens."""

import click

from bridge.cli.common import end_revocation, json_option, print_json, revoke_tokens, wired
from bridge.errors import BadRequest


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
    done = revoke_tokens(bridge, tenant=tenant, subject=subject, reason=reason)
    if as_json:
        print_json({"revoked": done.revoked, "failed": done.failed})
    end_revocation(done, as_json=as_json)
