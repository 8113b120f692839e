"""`python -m bridge.sandbox`: serve the two demo tenants."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bridge.sandbox import run

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORTAL = "http://localhost:8000"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        run(
            {"acme": options.acme_port, "globex": options.globex_port},
            portal_origins=options.portal_origin or [DEFAULT_PORTAL],
            tls=options.tls,
            host=options.host,
            web_threads=options.web_threads,
            exit_with_parent=options.exit_with_parent,
        )
    except ValueError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bridge.sandbox", description="Serve two pretend Qlik Cloud tenants.")
    parser.add_argument("--tls", action="store_true", help="serve https with a certificate made at start")
    parser.add_argument("--acme-port", type=int, default=9001, help="port of the tenant acme (default 9001)")
    parser.add_argument("--globex-port", type=int, default=9002, help="port of the tenant globex (default 9002)")
    parser.add_argument("--portal-origin", action="append", help=f"origin of a portal (default {DEFAULT_PORTAL})")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--web-threads", type=int, default=256, help="calls served at a time, open websockets included (default 256)"
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when the starting process ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
