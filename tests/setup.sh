#!/usr/bin/env bash
# Installs what the suite needs beside Python packages, where the machine lets it: Chromium, PostgreSQL, PHP for one
# snippet of the documents, nginx and promtool for deploy/, and the real Qlik clients. What is missing afterwards is skipped and named by the tests; with
# CI=true it is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=()
command -v chromium >/dev/null || wanted+=(chromium)
command -v php >/dev/null || wanted+=(php-cli)
command -v nginx >/dev/null || wanted+=(nginx-light)
command -v promtool >/dev/null || wanted+=(prometheus)
command -v sqlite3 >/dev/null || wanted+=(sqlite3)
command -v systemd-analyze >/dev/null || wanted+=(systemd)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)

if [ "${#wanted[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${wanted[*]} ..."
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}"; } </dev/null >/dev/null ||
      [ "${CI:-}" != true ]
  else
    echo "Not installed, so the tests that need it are skipped: ${wanted[*]}"
  fi
fi

tests/clients/setup.sh
