#!/usr/bin/env bash
# Installs kioskd from this checkout as a service of this machine, or upgrades the one that is there.
# Debian 12 or 13, Raspberry Pi OS too. Safe to run again.
#
#   sudo scripts/install.sh [--extras LIST]      install or upgrade; LIST: optional parts beyond those that the
#                                                configuration needs, as in pyproject.toml (echo,rehearsal)
#   sudo scripts/install.sh --rollback           back to the release before
#   sudo scripts/install.sh --uninstall          remove the program; the configuration and the key stay
#   sudo scripts/install.sh --purge              remove everything that has to do with it, and name what was recorded
#                                                in folders of yours
#
# Packages of yours with tools, named in /etc/kioskd/requirements.txt, are installed with each release.
#
# Each release is a folder of its own, /opt/kioskd/VERSION-N, and /opt/kioskd/current is a link to the one in use. An
# upgrade is made and tried beside it. If it does not serve within a minute, the one before is put back: exit 1; likewise
# with --rollback. A release that refuses the settings is not put in where one is that takes them. From the switch to the
# verdict nothing interrupts it, not even a lost SSH; /run/kioskd-install.log has what it said.
set -euo pipefail
# The service has a user of its own, who must get at what root makes here.
umask 022

readonly home=/opt/kioskd
readonly settings=/etc/kioskd/kioskd.yaml
readonly packages=/etc/kioskd/requirements.txt
readonly units=/usr/local/lib/systemd/system
readonly log=/run/kioskd-install.log
readonly well_within_s=60
# What is installed outside the release folder: file in the release, where it goes. A release may lack some.
readonly parts=(
  "kioskd.service           $units/kioskd.service"
  "kioskd-settled.service   $units/kioskd-settled.service"
  "kioskd-settled.timer     $units/kioskd-settled.timer"
  "kioskd-tool.socket       $units/kioskd-tool.socket"
  "kioskd-tool@.service     $units/kioskd-tool@.service"
  "systemd-252.conf         $units/kioskd.service.d/50-systemd-252.conf"
  "systemd-254.conf         $units/kioskd.service.d/50-systemd-254.conf"
  "realtime.conf            $units/kioskd.service.d/50-realtime.conf"
  "kioskd.sysusers          /usr/local/lib/sysusers.d/kioskd.conf"
  "kioskd.tmpfiles          /usr/local/lib/tmpfiles.d/kioskd.conf"
  "kioskd.rules             /usr/local/lib/udev/rules.d/70-kioskd.rules"
  "kioskd.catalog           /usr/local/lib/systemd/catalog/kioskd.catalog"
  "completion.bash          /usr/local/share/bash-completion/completions/kioskd"
  "kioskd.yaml              $settings.reference"
)

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

main() {
  local deed=install extras=''
  while [ "$#" -gt 0 ]; do
    case $1 in
      --extras) [ "$#" -ge 2 ] || fail "--extras needs a list, as in --extras echo,rehearsal"; extras=$2; shift ;;
      --extras=*) extras=${1#*=} ;;
      --rollback) deed=rollback ;;
      --uninstall) deed=uninstall ;;
      --purge) deed=purge ;;
      -h | --help) usage; exit 0 ;;
      *) fail "$1: not known; --help says what is" ;;
    esac
    shift
  done
  [ "$(id -u)" -eq 0 ] || fail "this needs root: sudo $0"
  [ -d /run/systemd/system ] || fail "systemd does not run here: this installs a service of it; see the README for running without"
  exec 9>/run/lock/kioskd-install
  flock --nonblock 9 || fail "another run of this script is not over yet: wait for it"
  "$deed" "$extras"
}

# --- deeds ---------------------------------------------------------------------------------------------------------

install() {
  local source new before older was_active='' was_lacking='' ready_to_start=yes
  source=$(cd "$(dirname "$0")/.." && pwd -P)
  [ -f "$source/pyproject.toml" ] || fail "$source: no pyproject.toml: run this from a checkout of kioskd"
  [[ $(readlink -m "$home")/ != "${source%/}"/* ]] ||
    fail "$source: the releases go to $home, and a checkout cannot be there too: move it, as to /usr/local/src/kioskd, and run this from there"
  known_extras "$source" "$1"
  [ ! -e /etc/systemd/system/kioskd.service ] ||
    fail "/etc/systemd/system/kioskd.service would hide the unit that comes with kioskd: move what you changed in it to /etc/systemd/system/kioskd.service.d/own.conf, and remove it"
  if systemctl --quiet is-active kioskd; then was_active=yes; elif [ "$(shown ExecMainStatus)" = 78 ]; then was_lacking=yes; fi
  before=$(current)
  older=$(readlink -e "$home/previous" || true)

  debian_packages python3 python3-venv python3-pyaudio python3-systemd python3-evdev alsa-utils espeak-ng
  /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "this system's Python is older than 3.11: Debian 12 or newer is needed"
  new=$(new_release "$source")
  # From here on, whatever ends us ends the new release too, until it is put in.
  # shellcheck disable=SC2064  # now, not then
  trap "rm -rf '$new'" EXIT
  build "$source" "$new" "$1"
  account_and_folders "$new"
  self_test "$new"
  if ! sandboxed "$new" check --config "$settings"; then
    if [ -n "$was_active" ] || takes_the_settings "$before"; then
      fail "$(basename "$new") refuses $settings (above), and was not put in; $(basename "$before") stays"
    fi
    ready_to_start=''
  fi
  [ -z "$ready_to_start" ] || render_prompts "$new"

  apart put_in "$new" "$before" "$older" "$ready_to_start" "$was_lacking"
}

rollback() {
  local now before
  now=$(current)
  before=$(readlink -e "$home/previous" || true)
  [ -n "$before" ] || fail "there is no release before $(basename "${now:-none}") on this machine"
  sandboxed "$before" check --config "$settings" ||
    fail "$(basename "$before") refuses $settings (above), and was not put in: mend that first; $(basename "${now:-nothing}") stays"
  apart swap "$before" "$now"
}

uninstall() {
  remove_program
  say "removed; what is yours stays: /etc/kioskd, /var/lib/kioskd, the key in /etc/credstore* (--purge removes them)"
}

purge() {
  local folder
  remove_program
  rm -rf /etc/kioskd /var/lib/kioskd /etc/systemd/system/kioskd.service.d
  # Encrypted or, where this machine cannot encrypt, plain: as `kioskd key` has stored it.
  rm -f /etc/credstore.encrypted/gemini-api-key /etc/credstore/gemini-api-key
  systemctl daemon-reload
  while read -r folder; do
    # The next user of this machine may get the number of ours.
    chown -R --from=kioskd root:root "$folder" || true
    say "$folder: has transcripts or recordings; they stay, and are yours: remove them when nobody needs them"
  done < <(written_elsewhere)
  if getent passwd kioskd >/dev/null; then userdel kioskd; fi
  if getent group kioskd >/dev/null; then groupdel kioskd; fi
  if getent passwd kioskd-tool >/dev/null; then userdel kioskd-tool; fi
  if getent group kioskd-tool >/dev/null; then groupdel kioskd-tool; fi
  say "removed, with configuration, key and user; Debian packages stay, as others may need them by now"
}

# Removes all that this script has installed, and the links and folders that it made for it.
remove_program() {
  systemctl --quiet disable --now kioskd-settled.timer kioskd 2>/dev/null || true
  systemctl --quiet stop kioskd-tool.socket "kioskd-tool@*" 2>/dev/null || true
  local part ours=()
  for part in "${parts[@]}"; do
    read -r _ part <<<"$part"
    rm -f "$part"
  done
  rmdir --ignore-fail-on-non-empty "$units/kioskd.service.d" 2>/dev/null || true
  rm -rf /run/lock/kioskd-install "$log" /usr/local/bin/kioskd /run/kioskd /var/cache/kioskd
  mapfile -t ours < <(releases)
  rm -rf "${ours[@]}" "$home"/{current,previous}{,.new}
  rmdir "$home" 2>/dev/null || [ ! -e "$home" ] || say "$home: has files that are not of ours; they stay"
  no_empty_folders
  reread
}

# --- the switch ----------------------------------------------------------------------------------------------------

# apart COMMAND…: where no lost or stopped terminal can end it or hold it up: its words go to a file, and from there to
# whoever is still there to read them.
apart() {
  local it
  trap '' HUP INT TERM
  trap - EXIT
  command install -m 600 /dev/null "$log"
  "$@" >>"$log" 2>&1 </dev/null &
  it=$!
  tail --follow --lines=+1 --sleep-interval=0.2 --pid="$it" "$log" || true
  wait "$it"
}

# put_in NEW BEFORE OLDER READY LACKING: the new release, or again what was before if it does not serve; LACKING: that did
# not serve either, since something was still to come from its owner.
put_in() {
  local new=$1 before=$2 older=$3 ready_to_start=$4 was_lacking=$5
  # shellcheck disable=SC2064  # now, not then
  trap "put_back '$new' '$before' '$older'" EXIT
  activate "$new"
  systemctl --quiet enable kioskd
  if [ -z "$ready_to_start" ]; then
    say "$(basename "$new") is installed, and not started: mend $settings as said above, then: sudo systemctl start kioskd"
  elif start_and_look; then
    serves "$new"
  elif [ -n "$before" ] && { [ -z "$was_lacking" ] || [ "$(shown ExecMainStatus)" != 78 ]; }; then
    journal
    fail "$(basename "$new") does not serve (its last words are above)"
  elif [ "$(shown ExecMainStatus)" = 78 ]; then
    # It was to be expected, and is no failure that anybody should look for.
    systemctl reset-failed kioskd
    say "$(basename "$new") is installed, and not started, since something is still to come from you:"
    journalctl --no-pager --output=cat --unit=kioskd "_PID=$(shown ExecMainPID)"
    say "the settings: sudo nano $settings; kioskd check"
    say "the key: sudo kioskd key"
    say "and then: sudo systemctl restart kioskd"
  else
    trap - EXIT
    journal
    fail "kioskd does not serve (its last words are above); it is tried again and again. Mend it, or: $0 --uninstall"
  fi
  trap - EXIT
  forget_old_releases "$before"
}

# put_back NEW BEFORE OLDER: as it was, without NEW unless that is OLDER; all of it that can be done is.
put_back() {
  set +e
  [ -n "$2" ] || fail "$(basename "$1") could not be put in (above): mend that, and run this again"
  say "going back to $(basename "$2")"
  activate "$2"
  if [ "$(current)" = "$2" ] && [ "$1" != "$3" ]; then rm -rf "$1" "$home/previous"; fi
  [ -z "$3" ] || point "$3" "$home/previous"
  start_and_look || fail "$(basename "$2") does not serve either: journalctl -u kioskd says why"
  fail "went back to $(basename "$2"), which serves"
}

# swap BEFORE NOW: the release before, in place of the one in use; or again that one if it does not serve.
swap() {
  # shellcheck disable=SC2064  # now, not then
  trap "put_back '$1' '$2' '$1'" EXIT
  activate "$1"
  start_and_look || { journal; fail "$(basename "$1") does not serve (its last words are above)"; }
  trap - EXIT
  serves "$1"
  say "--rollback returns to $(basename "$2")"
}

# --- steps ---------------------------------------------------------------------------------------------------------

# known_extras SOURCE EXTRAS: ends us if one of these is no optional part of the package; pip would go on without it.
known_extras() {
  local known unknown
  known=$(sed -nE '/^\[project\.optional-dependencies\]/,/^\[/s/^([a-z][a-z0-9-]*) *=.*/\1/p' "$1/pyproject.toml")
  unknown=$(tr ' ,' '\n\n' <<<"$2" | grep -vFx -e "$known" -e '' || true)
  [ -z "$unknown" ] || fail "--extras: there is no optional part $(list "$unknown"); there are $(list "$known")"
}

# Installs those of the named packages that are not there.
debian_packages() {
  local package missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  if [ "${#missing[@]}" -eq 0 ]; then
    say "Debian packages: all there"
    return
  fi
  say "Debian packages: ${missing[*]}"
  apt-get update -q=2 || say "the lists of packages could not be renewed: going on with those that are here"
  DEBIAN_FRONTEND=noninteractive apt-get install -q=2 -y --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt could not install ${missing[*]} (above): mend that, and run this again"
}

# Makes the next release's folder, and prints it.
new_release() {
  local version number new
  version=$(sed -nE 's/^__version__ *= *"([^"]+)".*/\1/p' "$1/daemon/kioskd/__init__.py")
  [ -n "$version" ] || fail "$1/daemon/kioskd/__init__.py: names no version"
  # Counted, not dated: a device may not know the time yet.
  number=$(find "$home/" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null |
    sed -nE 's/^[0-9].*-([1-9][0-9]*)$/\1/p' | sort -n | tail -1)
  new=$home/$version-$((${number:-0} + 1))
  # The mode also where it is there already, and shut to the service by the umask of who made it.
  command install --directory --mode=755 "$home" && mkdir "$new" && echo "$new"
}

# build SOURCE RELEASE EXTRAS: fills the folder.
build() {
  local source=$1 new=$2 extras=$3 needed wanted
  say "building $(basename "$new") (a minute or two)"
  /usr/bin/python3 -m venv --system-site-packages "$new"
  # What every installation has; the settings' own needs are known when the package is there to read them.
  extras=$(list "watch $extras")
  pip "$new" "$source[$extras]"
  wanted=$("$new/bin/python" -m kioskd.settings.extras "$settings")
  needed=$(list "$extras $(sed -n 1p <<<"$wanted")")
  if [ "$needed" != "$extras" ]; then pip "$new" "$source[$needed]"; fi
  say "optional parts: $needed"
  # The owner's own, with tools: each release has a place of its own for packages.
  if [ -e "$packages" ]; then pip "$new" "--requirement=$packages"; fi
  if [[ $wanted == *picamera2* ]]; then camera "$new"; fi
  mkdir "$new/system"
  cp "$source"/systemd/* "$source/scripts/completion.bash" "$source/config/kioskd.yaml" "$new/system/"
  if [ "$(systemd_version)" -lt 254 ]; then rm "$new/system/systemd-254.conf"; else rm "$new/system/systemd-252.conf"; fi
  # A kernel may keep real time for itself; a unit that asks for it would not start.
  systemd-run --quiet --wait --property=CPUSchedulingPolicy=rr --property=CPUSchedulingPriority=1 /bin/true 2>/dev/null ||
    rm "$new/system/realtime.conf"
}

pip() {
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --prefer-binary "$2" ||
    fail "pip could not install $2 (above): mend that, and run this again"
}

# list NAMES: prints each once, with commas between them.
list() { tr ' ,' '\n\n' <<<"$1" | sed '/^$/d' | sort -u | paste -sd,; }

# camera RELEASE: Debian's picamera2 where it has one (Raspberry Pi OS), else the one of the package index.
camera() {
  local why
  if "$1/bin/python" -I -c 'import picamera2' 2>/dev/null; then return; fi
  if apt-cache show python3-picamera2 >/dev/null 2>&1; then
    debian_packages python3-picamera2
  else
    debian_packages python3-libcamera libcamera-ipa gcc python3-dev libcap-dev
    pip "$1" picamera2
  fi
  why=$("$1/bin/python" -I -c 'import picamera2' 2>&1 | tail -1) || true
  [ -z "$why" ] ||
    say "picamera2 is installed and cannot be used ($why): until that is mended there is no camera. Or set camera.source: off, or v4l2:NAME for a USB camera"
}

# account_and_folders RELEASE: the user, and what it finds.
account_and_folders() {
  local line group wanted
  wanted=$(while read -r line; do
    group=$(awk '$1 == "m" { print $3 }' <<<"$line")
    [ -z "$group" ] || getent group "$group" >/dev/null || continue
    echo "$line"
  done <"$1/system/kioskd.sysusers")
  echo "$wanted" >"$1/system/kioskd.sysusers"
  systemd-sysusers "$1/system/kioskd.sysusers"
  systemd-tmpfiles --create "$1/system/kioskd.tmpfiles"
  say "user kioskd: $(id -nG kioskd | tr ' ' ',')"
  if [ ! -e "$settings" ]; then
    command install -m 644 "$1/system/kioskd.yaml" "$settings"
    say "$settings: new, with every setting at its default"
  fi
}

# self_test RELEASE: everything that can be loaded, and the devices that can be listed.
self_test() {
  "$1/bin/kioskd" --version >/dev/null || fail "the new release does not run (above)"
  # In one process: a Raspberry Pi takes a second to start one.
  "$1/bin/python" -I -c 'import contextlib, io, sys
from kioskd.cli import COMMANDS, main
for command in COMMANDS:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            code = main([command, "--help"])
    except SystemExit as end:
        code = end.code
    if code:
        sys.exit(f"kioskd {command}: does not load")' || fail "the new release cannot be used (above)"
  sandboxed "$1" devices >/dev/null || fail "kioskd devices: does not work (above, or at the end of: sudo journalctl -e)"
  say "self-test passed"
}

# sandboxed RELEASE ARGUMENTS…: kioskd as the service would run it, with its user, keys and limits: the unit's, and what
# the owner has made of them by `systemctl edit`. An empty value resets what was before, here as there.
sandboxed() {
  local release=$1 files=() properties=()
  shift
  mapfile -t files < <(find -L {/run,/etc}/systemd/system/kioskd.service.d -name '*.conf' 2>/dev/null | sort -t/ -k6)
  mapfile -t properties < <(awk '
    FNR == 1 { service = 0; line = "" }
    { gsub(/^[ \t]+|[ \t]+$/, "") }
    /^[#;]/ { next }
    { line = line $0 }
    sub(/\\$/, " ", line) { next }
    line ~ /^\[/ { service = line == "[Service]" }
    service && match(line, /^[A-Z][A-Za-z]*[ \t]*=/) {
      key = substr(line, 1, RLENGTH - 1); sub(/[ \t]+$/, "", key)
      value = substr(line, RLENGTH + 1); sub(/^[ \t]+/, "", value)
      if (key !~ /^(Type|NotifyAccess|Exec.*|WatchdogSec|Restart.*|Timeout.*|RuntimeMaxSec|KillMode|.*Directory.*)$/) print "--property=" key "=" value
    }
    { line = "" }
  ' "$release/system/kioskd.service" "${files[@]}")
  systemd-run --quiet --wait --pipe --collect --property=RuntimeMaxSec=60 "${properties[@]}" -- "$release/bin/kioskd" "$@"
}

# takes_the_settings RELEASE: whether there is one, and it could start with them.
takes_the_settings() { [ -n "$1" ] && sandboxed "$1" check --config "$settings" >/dev/null 2>&1; }

# render_prompts RELEASE: what the kiosk says for itself, made once; what is lacking is made when the daemon starts.
render_prompts() {
  local language
  language=$("$1/bin/python" -c 'import pathlib, sys; from kioskd.settings.load import load
print(load(pathlib.Path(sys.argv[1])).assistant.language)' "$settings")
  command install --directory --owner=kioskd --group=kioskd --mode=0700 /var/cache/kioskd
  runuser -u kioskd -- "$1/bin/python" -m kioskd.prompts "$language" --cache /var/cache/kioskd ||
    say "some spoken prompts are lacking (above); the kiosk goes on without those"
}

# activate RELEASE: its files to their places, and the link to it; the one in use becomes `previous`.
activate() {
  local release=$1 before part from to
  before=$(current)
  # Before anything names it: a power cut finds one release or the other, and whole.
  sync --file-system "$release"
  for part in "${parts[@]}"; do
    read -r from to <<<"$part"
    if [ -e "$release/system/$from" ]; then
      command install -D -m 644 "$release/system/$from" "$to"
    else
      rm -f "$to"
    fi
  done
  if [ -n "$before" ] && [ "$before" != "$release" ]; then point "$before" "$home/previous"; fi
  point "$release" "$home/current"
  point "$home/current/bin/kioskd" /usr/local/bin/kioskd
  reread
}

# point TARGET LINK: at once, so that there is never none.
point() {
  mkdir -p "$(dirname "$2")"
  ln -sfn "$1" "$2.new"
  mv -T "$2.new" "$2"
}

# Lets everybody know that files of ours have changed.
reread() {
  systemctl daemon-reload
  journalctl --update-catalog 2>/dev/null || say "the journal's catalog could not be renewed: journalctl -x explains less"
  if [ -S /run/udev/control ]; then
    { udevadm control --reload && udevadm trigger --subsystem-match=leds; } ||
      say "udev did not take the rules for lamps (above): LEDs of the kernel's can be used after a reboot"
  fi
}

# Restarts the service, and looks whether it serves: it says that it is ready, and a while later it still lives, by the
# evidence that feeds its watchdog. Fails if it does not, within a minute of all in all.
start_and_look() {
  local until=$((SECONDS + well_within_s)) pid first
  systemctl reset-failed kioskd 2>/dev/null || true
  # In a process group of its own, where no signal to ours ends it (it does not ignore them as we do); and by SIGKILL,
  # since systemctl does.
  timeout --signal=KILL "$well_within_s" systemctl --quiet restart kioskd || return 1
  pid=$(shown MainPID)
  first=$(shown WatchdogTimestampMonotonic)
  while [ "$SECONDS" -lt "$until" ]; do
    [ "$(shown ActiveState) $(shown MainPID)" = "active $pid" ] || return 1
    # Fed again, some seconds after the first time.
    [ "$(shown WatchdogTimestampMonotonic)" -lt $((first + 3000000)) ] || return 0
    sleep 0.5
  done
  return 1
}

# serves RELEASE: says so, and what it says of itself if that is not well: a wrong key, say, or no network.
serves() {
  local status
  status=$(shown StatusText)
  say "$(basename "$1") serves"
  [[ $status != "Out of order"* ]] || say "but has this to say: $status"
}

shown() { systemctl show --value --property="$1" kioskd; }
journal() { journalctl --unit=kioskd --no-pager --lines=15 --output=short >&2; }
current() { readlink -e "$home/current" || true; }
systemd_version() { systemctl --version | sed -nE '1s/^systemd ([0-9]+).*/\1/p'; }

# Prints the folders of all releases, whole or not, and of nothing else that the owner may have beside them.
releases() {
  find "$(readlink -m "$home")" -mindepth 1 -maxdepth 1 -type d -regextype posix-extended \
    -regex '.*/[0-9][^/]*-[1-9][0-9]*' -exec test -e '{}/pyvenv.cfg' ';' -print 2>/dev/null || true
}

# forget_old_releases BEFORE: all but the one in use and the one before.
forget_old_releases() {
  local release
  while read -r release; do
    if [ "$release" != "$(current)" ] && [ "$release" != "$1" ]; then rm -rf "$release"; fi
  done < <(releases)
}

# Prints the folders where the daemon has written outside its own: those that `privacy:` named, now or once.
written_elsewhere() {
  getent passwd kioskd >/dev/null || return 0
  find / -ignore_readdir_race \( -path /proc -o -path /sys -o -path /dev -o -path /run \) -prune -o \
    -user kioskd -prune \( -type d -print -o -printf '%h\n' \) | sort -u
}

# Removes the folders that we may have made, where nothing else is in them.
no_empty_folders() {
  local part
  for part in "${parts[@]}"; do
    read -r _ part <<<"$part"
    part=$(dirname "$part")
    while [[ $part == /usr/local/*/* || $part == "$units"* ]]; do
      rmdir "$part" 2>/dev/null || break
      part=$(dirname "$part")
    done
  done
}

main "$@"
