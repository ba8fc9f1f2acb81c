#!/usr/bin/env bash
# Makes the virtual environment with the one Synapse that the benchmark measures against, and prints where it is.
# Nothing is done when it is there already. It lies outside the repository:
# $MYELIN_SYNAPSE_VENV, by default ~/.cache/myelin/synapse-<version>.
set -euo pipefail

version=1.163.2
venv=${MYELIN_SYNAPSE_VENV:-$HOME/.cache/myelin/synapse-$version}
# Written last, so that an interrupted installation is done again.
marker=$venv/installed-$version

if [ ! -f "$marker" ]; then
  mkdir -p "$(dirname "$venv")"
  python3 -m venv --clear "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check "matrix-synapse==$version" psycopg2-binary >&2
  touch "$marker"
fi
echo "$venv"
