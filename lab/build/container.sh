# Sourced by setup-host: runs commands in build containers, with the package clients set up as on this machine.
# shellcheck shell=bash

# runc: crun refuses machines whose cgroups are of both versions. The limits: podman's own are above what a
# small machine allows, and it then refuses to start.
PODMAN=(podman --runtime runc)
LIMITS=(--ulimit nofile=1024:1024 --ulimit nproc=4096:4096)

# Writes this machine's settings for apt and pip into the folder $1, which containers see as /run/host.
# Kept out of images and readable by root only: addresses of mirrors may hold passwords.
host_settings() {
  local folder=$1 bundle mirror variable
  mkdir -p "$folder"
  chmod 700 "$folder"

  mirror=${LAB_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' |
    sed -n 's/^Debian|Debian|//p' | head -n 1)}
  [ -n "$mirror" ] || fail "apt on this machine names no Debian mirror; run apt-get update, or set LAB_DEBIAN_MIRROR to the address of one"
  printf 'deb %s bullseye main\n' "$mirror" >"$folder/sources.list"

  apt-config dump | grep -E '^Acquire::(http|https|Retries|Check-Valid-Until|Check-Date|ForceIPv[46]|Queue-Mode|Max-FutureTime)' \
    >"$folder/acquire.conf" || true
  for bundle in "${SSL_CERT_FILE:-}" "${PIP_CERT:-}" /etc/ssl/certs/ca-certificates.crt; do
    [ -n "$bundle" ] && [ -f "$bundle" ] || continue
    cp "$bundle" "$folder/ca.crt"
    break
  done
  {
    grep -v '^Acquire::https::CaInfo ' "$folder/acquire.conf"
    [ ! -f "$folder/ca.crt" ] || echo 'Acquire::https::CaInfo "/run/host/ca.crt";'
    echo 'Dir::Etc::sourcelist "/run/host/sources.list"; Dir::Etc::sourceparts "/run/host/none";'
    echo 'APT::Install-Recommends "false"; Acquire::Languages "none";'
    if [ -f /etc/apt/auth.conf ]; then
      cp /etc/apt/auth.conf "$folder/auth.conf"
      echo 'Dir::Etc::netrc "/run/host/auth.conf";'
    fi
  } >"$folder/apt.conf"

  # pip's settings from its files, and what the environment says.
  python3 -m pip config list | python3 -c '
import ast, sys
sections = {}
for line in sys.stdin:
    name, _, value = line.strip().partition("=")
    section, _, option = name.partition(".")
    if option and not name.startswith(":env:") and option not in ("cert", "require-virtualenv", "user"):
        sections.setdefault(section, []).append((option, ast.literal_eval(value)))
for section, options in sections.items():
    print(f"[{section}]")
    for option, value in options:
        print(option, "=", value.replace("\n", "\n    "))
' >"$folder/pip.conf"
  {
    for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY all_proxy ALL_PROXY \
      PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT PIP_RETRIES PIP_PROXY PIP_NO_INDEX PIP_FIND_LINKS; do
      [ -z "${!variable:-}" ] || printf 'export %s=%q\n' "$variable" "${!variable}"
    done
    echo 'export APT_CONFIG=/run/host/apt.conf DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 MAKEFLAGS=-j2'
    echo 'export PIP_CONFIG_FILE=/run/host/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/pip'
    [ ! -f "$folder/ca.crt" ] || echo 'export PIP_CERT=/run/host/ca.crt SSL_CERT_FILE=/run/host/ca.crt REQUESTS_CA_BUNDLE=/run/host/ca.crt'
  } >"$folder/environment"
}

# in_container NAME IMAGE [PODMAN-OPTION...] -- COMMAND...: the container is kept under NAME until its caller removes it.
# Settings are read from a file in the container, not given to podman: what podman is given stays in the image.
in_container() {
  local name=$1 image=$2 variable folder
  local options=()
  shift 2
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  for folder in ${PIP_FIND_LINKS:-}; do
    [ ! -d "$folder" ] || options+=(-v "$folder:$folder:ro")
  done
  podman rm -f -t 0 "$name" >/dev/null 2>&1 || true
  "${PODMAN[@]}" run --name "$name" --network "${BUILD_NETWORK:-host}" "${LIMITS[@]}" --init \
    -v "$HOST_SETTINGS:/run/host:ro" -v "$LAB:/run/lab:ro" "${options[@]}" \
    "$image" bash -c '. /run/host/environment && exec "$@"' bash "$@"
}

have_image() { podman image exists "$1"; }

# keep_as IMAGE CONTAINER [CHANGE...]: the container's files become the image, then the container goes.
keep_as() {
  local image=$1 name=$2 change
  local options=()
  shift 2
  for change in "$@"; do options+=(--change "$change"); done
  podman commit -q "${options[@]}" "$name" "$image"
  podman rm -f -t 0 "$name" >/dev/null
}
