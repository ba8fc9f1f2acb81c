#!/usr/bin/env bash
# Makes the virtual environment with the clients that the scenario tests let talk to the homeserver, unmodified from PyPI, and prints
# where it is. Nothing is done when it is there already. It lies outside the repository:
# $MYELIN_CLIENTS_VENV, by default ~/.cache/myelin/clients-<versions>.
set -euo pipefail

nio=0.26.0
mautrix=0.21.1
venv=${MYELIN_CLIENTS_VENV:-$HOME/.cache/myelin/clients-nio-$nio-e2e-mautrix-$mautrix}
# Written last, so that an interrupted installation is done again.
marker=$venv/installed

if [ ! -f "$marker" ]; then
  mkdir -p "$(dirname "$venv")"
  python3 -m venv --clear "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check "matrix-nio[e2e]==$nio" "mautrix==$mautrix" >&2
  touch "$marker"
fi
echo "$venv"
