#!/usr/bin/env bash
# Usage: start.sh
# The server's services. REGISTRY_PORT is where the registry listens on every machine: here a relay leads to it, because
# an image's name, which contains the port, must mean the same everywhere.
set -euo pipefail

main() {
  ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
  ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/another_key # that sshd does not use
  dockerd >/var/log/dockerd.log 2>&1 &
  socat "TCP-LISTEN:$REGISTRY_PORT,bind=127.0.0.1,fork,reuseaddr" TCP:registry:5000 &
  exec /usr/sbin/sshd -D -e -p 2222 -o PasswordAuthentication=no -o PermitRootLogin=no
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
