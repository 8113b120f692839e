#!/usr/bin/env bash
# Installs wrk, where the machine lets it. Without it threads of Python make the load, and the page says so.
set -euo pipefail

if ! command -v wrk >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing wrk ..."
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk; } </dev/null >/dev/null || true
fi
