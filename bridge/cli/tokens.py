"""`qlik-bridge tokens ...`: end issued tokens."""

import click

from bridge.cli.common import json_option, print_json, wired
from bridge.cli.revoking import finish, revoke_tokens
from bridge.errors import BadRequest


@click.group()
def tokens() -> None:
    """End issued tokens."""


@tokens.command()
@click.option("--tenant", help="Slug of the tenant.")
@click.option("--subject", help="`sub` of the person.")
@click.option("--all", "everything", is_flag=True, help="Every token of every tenant.")
@click.option("--rest", is_flag=True, help="Only what is out of use already: goes on after Ctrl-C or a failure.")
@click.option("--reason", default="", help="Why; kept in the audit.")
@json_option
def revoke(
    *, tenant: str | None, subject: str | None, everything: bool, rest: bool, reason: str, as_json: bool
) -> None:
    """Revoke issued tokens: here at once, and at the tenant by one call each, at the pace of the budget.

    After Ctrl-C, or a failure, the same command with --rest goes on. Exit 3 when some were not ended at the tenant.
    """
    if not (tenant or subject or everything or rest):
        raise BadRequest("Say which tokens: --tenant, --subject, both, --all, or the --rest of before.")
    bridge = wired()
    if tenant:
        bridge.tenants.get(tenant)
    ended = revoke_tokens(bridge, tenant=tenant, subject=subject, reason=reason, rest=rest)
    if as_json:
        print_json(ended.document())
    finish(ended, as_json=as_json)
