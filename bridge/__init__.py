"""Qlik Bridge: move embedded Qlik Cloud analytics from JWT cookies to OAuth impersonation."""

__version__ = "0.1.0"
