#!/usr/bin/env bash
# A container engine for the tests, on a Debian machine without one: Podman behind a socket, with a
# storage of its own, an image that stands in for python:slim where no registry can be reached, and
# a plain OCI registry. Needs root and apt. Prints what to export:
#
#   eval "$(tests/containers/engine.sh /tmp/engine)"      … and when done:
#   kill $(cat /tmp/engine/*.pid)
set -euo pipefail
folder=$(realpath -m "${1:?usage: engine.sh FOLDER}")
here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
image=localhost/orchestrator-stand-in:1
registry=localhost:14500
mkdir -p "$folder"
exec 3>&1 1>&2

wanted=(podman runc conmon debootstrap docker-registry ca-certificates)
missing=()
for package in "${wanted[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if ((${#missing[@]})); then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >"$folder/apt.log"
fi

# Host networking, cgroupfs and explicit limits: what a machine without systemd and without the
# right to raise its own limits can do.
cat >"$folder/containers.conf" <<END
[containers]
netns = "host"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
cat >"$folder/registries.conf" <<END
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "$registry"
insecure = true
END
export CONTAINERS_CONF=$folder/containers.conf
export CONTAINERS_STORAGE_CONF=$folder/storage.conf
export CONTAINERS_REGISTRIES_CONF=$folder/registries.conf
for driver in overlay vfs; do
  printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' \
    "$driver" "$folder/storage-$driver" "$folder/run" >"$folder/storage.conf"
  podman info >/dev/null 2>"$folder/podman-$driver.log" && break
done

if ! podman image exists "$image"; then
  root=$folder/rootfs
  if ! test -e "$root/ready"; then
    rm -rf "$root"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
      bookworm "$root" >"$folder/debootstrap.log"
    ln -sf python3 "$root/usr/bin/python"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    # The packages of the payloads come along: a build inside needs no index.
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
      --python-version "$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
      --requirement "$here/jobs/requirements.txt" --dest "$root/wheels"
    printf '[global]\nno-index = true\nfind-links = /wheels\n' >"$root/etc/pip.conf"
    touch "$root/ready"
  fi
  tar -C "$root" --exclude=./ready -c . | podman import --quiet - "$image" >/dev/null
fi

cat >"$folder/registry.yml" <<END
version: 0.1
storage: {filesystem: {rootdirectory: $folder/registry}, delete: {enabled: true}}
http: {addr: "$registry"}
END
alive() { test -e "$folder/$1.pid" && kill -0 "$(cat "$folder/$1.pid")" 2>/dev/null; }
if ! alive podman; then
  # conmon leaves an empty file "oom" in the folder where the service was started.
  cd "$folder"
  setsid nohup podman system service --time=0 "unix://$folder/podman.sock" \
    >"$folder/podman.log" 2>&1 3>&- </dev/null &
  echo $! >"$folder/podman.pid"
fi
if ! alive registry; then
  setsid nohup docker-registry serve "$folder/registry.yml" >"$folder/registry.log" 2>&1 3>&- </dev/null &
  echo $! >"$folder/registry.pid"
fi
for _ in $(seq 100); do
  test -S "$folder/podman.sock" && break
  sleep 0.1
done
echo "export DOCKER_HOST=unix://$folder/podman.sock ORCHESTRATOR_TEST_REGISTRY=$registry" >&3
