# Finds a Python that is new enough and hands over to deploy/runtime/command.py.
# Sourced by deploy/test, deploy/demo and the others, with the command's name and its arguments.

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or newer is needed as python3 (Debian 12 or later has it)." >&2
  exit 71
fi
root="$(dirname "$(dirname "$(readlink -f "$0")")")"
# -P: what lies in the folder where the command is typed must not be taken for a module of ours
PYTHONPATH="$root" exec python3 -P -m deploy.runtime.command "$@"
