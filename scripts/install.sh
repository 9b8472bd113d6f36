#!/bin/bash -p
# Installs kioskd from this checkout as a service of this machine, or upgrades the one that is there.
# Debian 12 or 13, Raspberry Pi OS too. Safe to run again.
#
#   sudo scripts/install.sh [--extras LIST]      install or upgrade; LIST: optional parts beyond those that the
#                                                configuration needs, as in pyproject.toml (echo,rehearsal);
#                                                an upgrade keeps them, and --extras none lets them go
#   sudo scripts/install.sh --rollback           back to the release before
#   sudo scripts/install.sh --uninstall          remove the program; the configuration and the key stay
#   sudo scripts/install.sh --purge              remove configuration, state, key and user too, and name what stays
#
# Packages of yours with tools, named in /etc/kioskd/requirements.txt, are installed with each release.
#
# Each release is a folder of its own, /opt/kioskd/VERSION-N, and /opt/kioskd/current is a link to the one in use. An
# upgrade is made and tried beside it. If it does not serve within a minute, the one before is put back: exit 1; likewise
# with --rollback. A release that refuses the settings is not put in where one is that takes them. From the switch to the
# verdict nothing interrupts it, not even a lost SSH; /run/kioskd-install.log has what it said.
#
# It runs as root, so it takes nothing from others: a checkout that another user can change is refused, and of the
# environment only SUDO_UID, proxies and certificate authorities are used. Settings of pip belong to /etc/pip.conf.
set -euo pipefail

# Variables of the caller could have root run other programs: BASH_ENV, PATH, PYTHONPATH, PIP_CONFIG_FILE, HOME.
readonly programs=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
readonly passed_on=(
  SUDO_UID http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY
  SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE
)
known=" PATH HOME LC_ALL PWD OLDPWD SHLVL _ ${passed_on[*]} "
clean=yes
while read -r name; do [[ $known == *" $name "* ]] || clean=''; done < <(compgen -e)
if [ -z "$clean" ] || [ "${PATH-}" != "$programs" ] || [ "${HOME-}" != /root ] || [ "${LC_ALL-}" != C.UTF-8 ]; then
  kept=("PATH=$programs" HOME=/root LC_ALL=C.UTF-8)
  for name in "${passed_on[@]}"; do [ -z "${!name-}" ] || kept+=("$name=${!name}"); done
  exec /usr/bin/env -i "${kept[@]}" /bin/bash -p "$0" "$@"
fi
unset known clean name
# The service has a user of its own, who must get at what root makes here.
umask 022

readonly home=/opt/kioskd
readonly settings=/etc/kioskd/kioskd.yaml
readonly names=$home/.names
readonly packages=/etc/kioskd/requirements.txt
readonly units=/usr/local/lib/systemd/system
readonly man=/usr/local/share/man
# In a folder of root's, where no other user can put a link or a pipe in their place.
readonly log=/run/kioskd-install.log
readonly lock=/run/kioskd-install.lock
readonly well_within_s=60
readonly keys=(/etc/credstore.encrypted/gemini-api-key /etc/credstore/gemini-api-key)
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
  "kioskd.1                 $man/man1/kioskd.1"
  "kioskd.yaml.5            $man/man5/kioskd.yaml.5"
  "kioskd-talking.7         $man/man7/kioskd-talking.7"
  "kioskd-buttons-lamp-camera.7 $man/man7/kioskd-buttons-lamp-camera.7"
  "kioskd-tools.7           $man/man7/kioskd-tools.7"
  "kioskd-operating.7       $man/man7/kioskd-operating.7"
  "kioskd-privacy-and-cost.7 $man/man7/kioskd-privacy-and-cost.7"
  "kioskd-link.7            $man/man7/kioskd-link.7"
  "kioskd-rehearsing.7      $man/man7/kioskd-rehearsing.7"
  "kioskd-figures.7         $man/man7/kioskd-figures.7"
)

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

main() {
  local deed=install extras='' source
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
  source=$(cd "$(dirname "$0")/.." && pwd -P)
  # Programs look for their parts in the folder that they are started in.
  cd /
  only_roots "$source"
  [ -d /run/systemd/system ] || fail "systemd does not run here: this installs a service of it; see the README for running without"
  # A user who may open it could hold it.
  (umask 077 && : >>"$lock")
  exec 9<>"$lock"
  flock --nonblock 9 || fail "another run of this script is not over yet: wait for it"
  "$deed" "$extras"
}

# --- who can change what root runs --------------------------------------------------------------------------------

# The one who has asked by sudo may become root anyway.
[[ ${SUDO_UID-} =~ ^[0-9]+$ ]] && readonly asked=$SUDO_UID || readonly asked=0

# only_roots SOURCE: ends us if anyone else can change the checkout, or where the releases go.
only_roots() {
  local folder who found
  for folder in "$1" "$(readlink -m "$home")"; do
    while :; do
      if [ -e "$folder" ] && who=$(changer "$folder" passed); then
        fail "$folder: $who can change what is in it, and so what root runs: have it belong to root alone (chown root:, chmod go-w), or move the checkout, as to /usr/local/src/kioskd"
      fi
      [ "$folder" != / ] || break
      folder=$(dirname "$folder")
    done
  done
  found=$(first_changeable "$1")
  found=${found%%$'\n'*}
  [ -z "$found" ] || fail "$found can be changed by $(changer "$found"), and so what root runs: look through it, then: chown -R root: '$1'; chmod -R go-w '$1'"
  if [ -e "$packages" ] && who=$(changer "$packages"); then
    fail "$packages: $who can change it, and so what root installs: chown root: $packages; chmod go-w $packages"
  fi
}

# changer PATH [passed]: says who else can change a file or folder, or fails. A sticky folder that is only passed on the
# way keeps what is in it from others.
changer() {
  local uid gid mode
  read -r uid gid mode < <(stat --dereference --format='%u %g %a' -- "$1")
  if [ "$uid" -ne 0 ] && [ "$uid" -ne "$asked" ]; then
    echo "its owner ($(id -nu "$uid" 2>/dev/null || echo "$uid"))"
  elif [ -n "${2-}" ] && [ $((8#$mode & 8#1000)) -ne 0 ]; then
    return 1
  elif [ $((8#$mode & 8#002)) -ne 0 ]; then
    echo "every user"
  elif [ $((8#$mode & 8#020)) -ne 0 ] && ! private "$gid"; then
    echo "the group $(stat --dereference --format=%G -- "$1")"
  elif [ $((8#$mode & 8#020)) -ne 0 ] && [[ $(ls -ldL -- "$1") == ??????????+* ]]; then
    echo "a user whom its access list names"
  else
    return 1
  fi
}

# private GID: whether only root and the one who has asked are in the group.
private() {
  local members user
  members=$(getent group "$1" | cut -d: -f4 | tr , ' ') || return 0
  members+=" $(getent passwd | awk -F: -v gid="$1" '$4 == gid { print $1 }' | tr '\n' ' ')"
  for user in $members; do
    case $(id -u "$user" 2>/dev/null) in 0 | "$asked") ;; *) return 1 ;; esac
  done
}

# first_changeable SOURCE: prints a file of the checkout that others can change, if there is one. The history of git and
# the environment of a developer are no part of a release.
first_changeable() {
  local gid all=("$1" "(" -path "$1/.git" -o -path "$1/.venv" ")" -prune -o)
  find "${all[@]}" ! -uid 0 ! -uid "$asked" -print -quit
  find "${all[@]}" ! -type l -perm -002 -print -quit
  find "${all[@]}" ! -type l -perm -020 -printf '%G\n' | sort -u | while read -r gid; do
    private "$gid" || find "${all[@]}" ! -type l -perm -020 -gid "$gid" -print -quit
  done
  find "${all[@]}" ! -type l -perm -020 -exec ls -ld {} + | awk 'substr($0, 11, 1) == "+" { sub(/^[^\/]*/, ""); print }'
}

# --- deeds ---------------------------------------------------------------------------------------------------------

install() {
  local new before older extras was_active='' was_lacking='' ready_to_start=yes
  [ -f "$source/pyproject.toml" ] || fail "$source: no pyproject.toml: run this from a checkout of kioskd"
  [[ $(readlink -m "$home")/ != "${source%/}"/* ]] ||
    fail "$source: the releases go to $home, and a checkout cannot be there too: move it, as to /usr/local/src/kioskd, and run this from there"
  known_extras "$source" "$1"
  extras=$(wanted_extras "$source" "$1")
  [ ! -e /etc/systemd/system/kioskd.service ] ||
    fail "/etc/systemd/system/kioskd.service would hide the unit that comes with kioskd: move what you changed in it to /etc/systemd/system/kioskd.service.d/own.conf, and remove it"
  if systemctl --quiet is-active kioskd; then was_active=yes; elif [ "$(shown ExecMainStatus)" = 78 ]; then was_lacking=yes; fi
  before=$(current)
  older=$(readlink -e "$home/previous" || true)

  debian_packages python3 python3-venv python3-pyaudio python3-systemd python3-evdev alsa-utils espeak-ng lowdown
  /usr/bin/python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "this system's Python is older than 3.11: Debian 12 or newer is needed"
  new=$(new_release "$source" "$extras")
  # From here on, whatever ends us ends the new release too, until it is put in.
  # shellcheck disable=SC2064  # now, not then
  trap "rm -rf '$new'" EXIT
  build "$source" "$new" "$extras"
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
  local path yours=() was_here
  was_here=$(program)
  remove_program
  for path in /etc/kioskd /var/lib/kioskd "${keys[@]}" /etc/systemd/system/kioskd.service.d; do
    [ ! -e "$path" ] || yours+=("$path")
  done
  say "${was_here:-there was no program}${was_here:+ is removed}${yours[0]+; what is yours stays: ${yours[*]} (--purge removes it)}"
}

purge() {
  local folder path secrets removed=() failed=()
  secrets=$(secrets_elsewhere)
  [ -z "$(program)" ] || removed=("the program")
  remove_program
  # The key is encrypted or, where this machine cannot encrypt, plain: as `kioskd key` has stored it.
  for path in /etc/kioskd /var/lib/kioskd /etc/systemd/system/kioskd.service.d "${keys[@]}"; do
    remove "$path"
  done
  systemctl daemon-reload
  while read -rd '' folder; do
    # The next user of this machine may get the number of ours.
    chown -R --from=kioskd root:root "$folder" || true
    if [ -z "$(find "$folder" -mindepth 1 -print -quit)" ]; then
      say "$folder: an empty folder that was kioskd's; it stays"
    else
      say "$folder: has transcripts or recordings, or other files that kioskd wrote; they stay, and are root's now: remove them when no one needs them"
    fi
  done < <(written_elsewhere)
  while read -r path; do
    [ ! -e "$path" ] || say "$path: has a secret that the settings or the unit named; it stays: remove it when nothing else needs it"
  done <<<"$secrets"
  if getent passwd kioskd >/dev/null; then
    # Else userdel says that its group stays, as others are in it.
    gpasswd --members '' kioskd >/dev/null 2>&1 || true
    if userdel kioskd; then removed+=("the user kioskd"); else failed+=("the user kioskd"); fi
  fi
  if getent group kioskd >/dev/null; then groupdel kioskd || failed+=("the group kioskd"); fi
  if getent passwd kioskd-tool >/dev/null; then
    if userdel kioskd-tool; then removed+=("the user kioskd-tool"); else failed+=("the user kioskd-tool"); fi
  fi
  if getent group kioskd-tool >/dev/null; then groupdel kioskd-tool || failed+=("the group kioskd-tool"); fi
  if [ "${#removed[@]}" -eq 0 ]; then
    say "there was nothing of kioskd here"
  else
    say "removed: $(printf '%s\n' "${removed[@]}" | paste -sd, | sed 's/,/, /g')"
  fi
  say "what others may need stays: Debian packages, the journal, the systemd folder for credentials"
  [ "${#failed[@]}" -eq 0 ] || fail "not removed (above): ${failed[*]}"
}

# remove PATH: a file or folder with all that is in it, but nothing that a link leads to, and nothing that is mounted.
remove() {
  local target
  if [ -L "$1" ]; then
    target=$(readlink -m "$1")
    rm -f "$1"
    say "$1: was a link; what it led to stays: $target"
  elif [ -e "$1" ]; then
    rm -rf --one-file-system "$1" || true
    if [ -e "$1" ]; then failed+=("$1"); else removed+=("$1"); fi
  fi
}

# Prints the files of secrets that the settings or the unit name, other than those that we remove.
secrets_elsewhere() {
  local name
  { systemctl cat kioskd || cat /etc/systemd/system/kioskd.service.d/*.conf; } 2>/dev/null |
    sed -nE 's/^[ \t]*LoadCredential(Encrypted)?[ \t]*=[ \t]*//p' | sort -u |
    while read -r name; do
      case $name in
        gemini-api-key | '') ;;
        *:/*) printf '%s\n' "${name#*:}" ;;
        *) printf '%s\n' "/etc/credstore/${name%%:*}" "/etc/credstore.encrypted/${name%%:*}" ;;
      esac
    done || true
  # Without the program, which may be gone: a path stands behind each of these names.
  grep -v '^ *#' "$settings" 2>/dev/null |
    grep -oE '(key_file|credentials_file)["'\'']?: *["'\'']?/[^]"'\'',} ]+|credential:/[^]"'\'',} ]+' |
    sed 's,^[^/]*,,' | grep -v '^/etc/kioskd/' | sort -u || true
}

# Prints what to call the program, if any of it is installed.
program() { if [ -e "$home/current" ] || [ -e "$units/kioskd.service" ]; then echo "the program"; fi; }

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
  rm -rf "$log" "$lock" /usr/local/bin/kioskd /run/kioskd /var/cache/kioskd
  mapfile -t ours < <(releases)
  rm -rf "${ours[@]}" "$home"/{current,previous}{,.new} "$names"
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
  # For the one who has asked.
  command install -m 600 -o "$asked" /dev/null "$log"
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
  known=$(optional_parts "$1")
  unknown=$(tr ' ,' '\n\n' <<<"$2" | grep -vFx -e "$known" -e '' -e none || true)
  [ -z "$unknown" ] || fail "--extras: there is no optional part $(list "$unknown"); there are $(list "$known")"
}

# wanted_extras SOURCE EXTRAS: prints those, and the ones that the release in use was installed with; with none among
# them, only those.
wanted_extras() {
  local known kept='' gone
  known=$(optional_parts "$1")
  [[ ",${2// /,}," == *,none,* ]] || kept=$(installed_extras "$1")
  gone=$(tr , '\n' <<<"$kept" | grep -vFx -e "$known" -e '' || true)
  [ -z "$gone" ] || say "$(list "$gone"): there is no such optional part any more" >&2
  list "$(tr ' ,' '\n\n' <<<"$2,$kept" | grep -Fx "$known" || true)"
}

# installed_extras SOURCE: prints those of the release in use. One that an older installer has made keeps no list of them:
# there each part counts whose library lies in it.
installed_extras() {
  local part library
  if [ -e "$home/current/extras" ]; then
    cat "$home/current/extras"
    return
  fi
  while IFS=' ' read -r part library; do
    if compgen -G "$home/current/lib/python3*/site-packages/${library//-/_}-*.dist-info" >/dev/null; then
      echo "$part"
    fi
  done < <(sed -nE '/^\[project\.optional-dependencies\]/,/^\[/s/^([a-z][a-z0-9-]*) = \["([A-Za-z0-9_-]+).*/\1 \2/p' "$1/pyproject.toml") |
    paste -sd,
}

# optional_parts SOURCE: prints the names of all of them.
optional_parts() { sed -nE '/^\[project\.optional-dependencies\]/,/^\[/s/^([a-z][a-z0-9-]*) *=.*/\1/p' "$1/pyproject.toml"; }

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

# new_release SOURCE EXTRAS: makes the next release's folder, and prints it. Another source gets another name, even if the
# release that had the name before was taken out again.
new_release() {
  local version number new made_of
  version=$(sed -nE 's/^__version__ *= *"([^"]+)".*/\1/p' "$1/daemon/kioskd/__init__.py")
  [ -n "$version" ] || fail "$1/daemon/kioskd/__init__.py: names no version"
  made_of=$(made_of "$1" "$2")
  # Counted, not dated: a device may not know the time yet.
  number=$(find "$home/" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null |
    sed -nE 's/^[0-9].*-([1-9][0-9]*)$/\1/p' | sort -n | tail -1 || true)
  number=$((${number:-0} + 1))
  while grep -qF "$version-$number " "$names" 2>/dev/null && ! grep -qFx "$version-$number $made_of" "$names"; do
    number=$((number + 1))
  done
  new=$home/$version-$number
  # Owner and mode also where it is there already, and shut to the service by the umask of who made it.
  command install --directory --mode=755 --owner=root --group=root "$home" && mkdir "$new" || return
  grep -qFx "$version-$number $made_of" "$names" 2>/dev/null || echo "$version-$number $made_of" >>"$names"
  echo "$new"
}

# made_of SOURCE EXTRAS: prints what tells this release from others.
made_of() {
  { cd "$1" && find pyproject.toml daemon config scripts systemd -name __pycache__ -prune -o -type f -print0 |
      sort -z | xargs -0 sha256sum && echo "$2"; } | sha256sum | cut -c1-16
}

# build SOURCE RELEASE EXTRAS: fills the folder.
build() {
  local source=$1 new=$2 extras=$3 needed wanted
  say "building $(basename "$new") (a minute or two)"
  /usr/bin/python3 -I -m venv --system-site-packages "$new"
  echo "$extras" >"$new/extras"
  # What every installation has; the settings' own needs are known when the package is there to read them.
  extras=$(list "watch $extras")
  pip "$new" "$source[$extras]"
  wanted=$("$new/bin/python" -I -m kioskd.settings.extras "$settings")
  needed=$(list "$extras $(sed -n 1p <<<"$wanted")")
  if [ "$needed" != "$extras" ]; then pip "$new" "$source[$needed]"; fi
  say "optional parts: $needed"
  # The owner's own, with tools: each release has a place of its own for packages.
  if [ -e "$packages" ]; then pip "$new" "--requirement=$packages"; fi
  if [[ $wanted == *picamera2* ]]; then camera "$new"; fi
  mkdir "$new/system"
  cp "$source"/systemd/* "$source/scripts/completion.bash" "$source/config/kioskd.yaml" "$new/system/"
  man_pages "$new"
  if [ "$(systemd_version)" -lt 254 ]; then rm "$new/system/systemd-254.conf"; else rm "$new/system/systemd-252.conf"; fi
  # A kernel may keep real time for itself; a unit that asks for it would not start.
  systemd-run --quiet --wait --property=CPUSchedulingPolicy=rr --property=CPUSchedulingPriority=1 /bin/true 2>/dev/null ||
    rm "$new/system/realtime.conf"
}

pip() {
  "$1/bin/python" -I -m pip install --quiet --disable-pip-version-check --prefer-binary "$2" ||
    fail "pip could not install $2 (above): mend that, and run this again"
}

# man_pages RELEASE: makes the manual's pages for `man`. The kiosk serves without them, and `kioskd help` has the same text.
man_pages() {
  local page
  if ! "$1/bin/python" -I -m kioskd.manual "$1/system"; then
    say "the pages for man could not be made (above): kioskd help shows the manual"
    return
  fi
  for page in "$1"/system/*.md; do
    lowdown -s -Tman --out-no-smarty -o "${page%.md}" "$page" || rm -f "${page%.md}"
    rm "$page"
  done
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
  language=$("$1/bin/python" -I -c 'import pathlib, sys; from kioskd.settings.load import load
print(load(pathlib.Path(sys.argv[1])).assistant.language)' "$settings")
  command install --directory --owner=kioskd --group=kioskd --mode=0700 /var/cache/kioskd
  runuser -u kioskd -- "$1/bin/python" -I -m kioskd.prompts "$language" --cache /var/cache/kioskd ||
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
    -user kioskd -prune \( -type d -print0 -o -printf '%h\0' \) | sort -zu
}

# Removes the folders that we may have made, where nothing else is in them.
no_empty_folders() {
  local part
  for part in "${parts[@]}"; do
    read -r _ part <<<"$part"
    part=$(dirname "$part")
    while [[ $part == /usr/local/*/* || $part == "$units"* ]]; do
      # A folder of Debian's, which is there without us.
      [ "$part" != "$man" ] || break
      rmdir "$part" 2>/dev/null || break
      part=$(dirname "$part")
    done
  done
}

# In one piece: bash reads a script on while it runs it.
{ main "$@"; exit; }
