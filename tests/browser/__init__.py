"""The product in a real browser: bridge and sandbox as processes, Qlik's own front ends in the pages."""
