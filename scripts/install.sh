#!/bin/bash -p
# Installs kioskd from this checkout as a service of this machine, or upgrades it. It is safe to run again.
# The machine needs Debian 12 or 13, or Raspberry Pi OS of the same age.
#
#   sudo scripts/install.sh [--extras LIST]      install or upgrade. LIST names optional parts that the configuration
#                                                does not need, as in pyproject.toml (echo,rehearsal). An upgrade
#                                                keeps them; --extras none removes them
#   sudo scripts/install.sh --wheels FOLDER      take all Python packages from this folder, without the network.
#                                                scripts/wheels fills one on another machine
#   sudo scripts/install.sh --rollback           go back to the release before
#   sudo scripts/install.sh --uninstall          remove the program; the configuration and the key stay
#   sudo scripts/install.sh --purge              remove configuration, state, key and user, too, and list the rest
#
# pip installs the versions of scripts/locks/, and only files with the hashes that are there. List your own packages of
# tools in /etc/kioskd/requirements.txt: each release installs them.
#
# Each release is a folder of its own, /opt/kioskd/VERSION-N. The link /opt/kioskd/current leads to the one in use. An
# upgrade is built and tested beside it. If the new release does not serve within a minute, the installer puts the old
# one back, and exits with 1. --rollback does the same. A release that rejects the settings is not put in, if the present
# one accepts them. Nothing interrupts the switch, not even a lost SSH connection: /run/kioskd-install.log has its output.
#
# The installer runs as root, so it uses nothing that other users can change. It refuses a checkout that another user can
# change. Of the environment it uses only SUDO_UID, proxies and certificate authorities. Settings of pip belong into
# /etc/pip.conf.
set -euo pipefail

# By some variables a caller could make root run other programs: BASH_ENV, PATH, PYTHONPATH, PIP_CONFIG_FILE, HOME.
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
# The service has a user of its own, which must be able to read the files that root makes here.
umask 022

readonly home=/opt/kioskd
readonly settings=/etc/kioskd/kioskd.yaml
readonly names=$home/.names
readonly packages=/etc/kioskd/requirements.txt
readonly units=/usr/local/lib/systemd/system
readonly man=/usr/local/share/man
# No other user can replace files in this folder by a link or a pipe.
readonly log=/run/kioskd-install.log
readonly lock=/run/kioskd-install.lock
readonly well_within_s=60
readonly keys=(/etc/credstore.encrypted/gemini-api-key /etc/credstore/gemini-api-key)
# Files outside the release folder: the name in the release, and the place. A release may lack some of them.
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
  "kioskd-packages.7        $man/man7/kioskd-packages.7"
  "kioskd-privacy-and-cost.7 $man/man7/kioskd-privacy-and-cost.7"
  "kioskd-captions.7        $man/man7/kioskd-captions.7"
  "kioskd-link.7            $man/man7/kioskd-link.7"
  "kioskd-rehearsing.7      $man/man7/kioskd-rehearsing.7"
  "kioskd-figures.7         $man/man7/kioskd-figures.7"
)

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

main() {
  local deed=install extras='' wheels='' source
  while [ "$#" -gt 0 ]; do
    case $1 in
      --extras) [ "$#" -ge 2 ] || fail "--extras needs a list: write --extras echo,rehearsal"; extras=$2; shift ;;
      --extras=*) extras=${1#*=} ;;
      --wheels) [ "$#" -ge 2 ] || fail "--wheels needs a folder that scripts/wheels has filled"; wheels=$2; shift ;;
      --wheels=*) wheels=${1#*=} ;;
      --rollback) deed=rollback ;;
      --uninstall) deed=uninstall ;;
      --purge) deed=purge ;;
      -h | --help) usage; exit 0 ;;
      *) fail "$1: unknown option; --help lists the options" ;;
    esac
    shift
  done
  [ "$(id -u)" -eq 0 ] || fail "root is needed: run sudo $0"
  source=$(cd "$(dirname "$0")/.." && pwd -P)
  # The Debian package has a folder of them beside the rest.
  if [ -z "$wheels" ] && [ -d "$source/wheels" ]; then wheels=$source/wheels; fi
  if [ -n "$wheels" ]; then
    wheels=$(cd "$wheels" 2>/dev/null && pwd -P) || fail "--wheels: there is no such folder: fill one with scripts/wheels"
  fi
  # Programs may load parts of themselves from the folder that they are started in.
  cd /
  only_roots "$source" "$wheels"
  [ -d /run/systemd/system ] || fail "systemd does not run here, and kioskd is installed as its service; to try kioskd without it: scripts/setup, then .venv/bin/kioskd run --config FILE"
  # A user who may open the lock could hold it.
  (umask 077 && : >>"$lock")
  exec 9<>"$lock"
  flock --nonblock 9 || fail "this script is already running: wait until it ends"
  "$deed" "$extras" "$wheels"
}

# --- who can change the files that root runs --------------------------------------------------------------------------------

# The user who called sudo may become root anyway.
[[ ${SUDO_UID-} =~ ^[0-9]+$ ]] && readonly asked=$SUDO_UID || readonly asked=0

# only_roots SOURCE WHEELS: fails if another user can change the checkout, the folder of the releases, or that of
# the wheels.
only_roots() {
  local folder who found
  for folder in "$1" "$(readlink -m "$home")" ${2:+"$2"}; do
    while :; do
      if [ -e "$folder" ] && who=$(changer "$folder" passed); then
        fail "$folder: $who can change its files, which root would run: give it to root alone (chown root:, chmod go-w), or move the checkout, for example to /usr/local/src/kioskd"
      fi
      [ "$folder" != / ] || break
      folder=$(dirname "$folder")
    done
  done
  for folder in "$1" ${2:+"$2"}; do
    found=$(first_changeable "$folder")
    found=${found%%$'\n'*}
    [ -z "$found" ] || fail "$found can be changed by $(changer "$found"), and root would run it: check its content, then run: chown -R root: '$folder'; chmod -R go-w '$folder'"
  done
  if [ -e "$packages" ] && who=$(changer "$packages"); then
    fail "$packages: $who can change it, and root would install what it lists: run chown root: $packages; chmod go-w $packages"
  fi
}

# changer PATH [passed]: prints who else can change a file or folder, or fails. "passed" means a folder above the checkout.
# If that is sticky, other users cannot replace what is in it.
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

# private GID: succeeds if only root and the user who called sudo are in the group.
private() {
  local members user
  members=$(getent group "$1" | cut -d: -f4 | tr , ' ') || return 0
  members+=" $(getent passwd | awk -F: -v gid="$1" '$4 == gid { print $1 }' | tr '\n' ' ')"
  for user in $members; do
    case $(id -u "$user" 2>/dev/null) in 0 | "$asked") ;; *) return 1 ;; esac
  done
}

# first_changeable SOURCE: prints a file of the checkout that other users can change, if there is one. The history of git
# and a developer's environment are not part of a release.
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
  local new before older extras wheels=$2 was_active='' was_lacking='' ready_to_start=yes
  [ -f "$source/pyproject.toml" ] || fail "$source: no pyproject.toml: run this from a checkout of kioskd"
  [[ $(readlink -m "$home")/ != "${source%/}"/* ]] ||
    fail "$source: $home is the folder of the releases: move the checkout, for example to /usr/local/src/kioskd, and run its scripts/install.sh"
  known_extras "$source" "$1"
  extras=$(wanted_extras "$source" "$1")
  [ ! -e /etc/systemd/system/kioskd.service ] ||
    fail "/etc/systemd/system/kioskd.service would hide kioskd's own unit: move your changes to /etc/systemd/system/kioskd.service.d/own.conf, and remove the file"
  if systemctl --quiet is-active kioskd; then was_active=yes; elif [ "$(shown ExecMainStatus)" = 78 ]; then was_lacking=yes; fi
  before=$(current)
  older=$(readlink -e "$home/previous" || true)

  debian_packages python3 python3-venv python3-pyaudio python3-systemd python3-evdev alsa-utils espeak-ng lowdown
  /usr/bin/python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed, and this system has an older one: upgrade to Debian 12 or newer"
  new=$(new_release "$source" "$extras")
  # Until the new release is put in, it is removed if this script ends.
  # shellcheck disable=SC2064  # now, not then
  trap "rm -rf '$new'" EXIT
  build "$source" "$new" "$extras" "$wheels"
  account_and_folders "$new"
  self_test "$new"
  if ! sandboxed "$new" check --config "$settings"; then
    if [ -n "$was_active" ] || takes_the_settings "$before"; then
      fail "$(basename "$new") rejects $settings (see above), and was not put in; $(basename "$before") stays in use"
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
  [ -n "$before" ] || fail "this machine has no release before $(basename "${now:-none}")"
  sandboxed "$before" check --config "$settings" ||
    fail "$(basename "$before") rejects $settings (see above), and was not put in; $(basename "${now:-nothing}") stays in use: correct the settings, and run this again"
  apart swap "$before" "$now"
}

uninstall() {
  local path yours=() was_here
  was_here=$(program)
  remove_program
  for path in /etc/kioskd /var/lib/kioskd "${keys[@]}" /etc/systemd/system/kioskd.service.d; do
    [ ! -e "$path" ] || yours+=("$path")
  done
  say "${was_here:-there was no program}${was_here:+ is removed}${yours[0]+; your files stay: ${yours[*]} (--purge removes them)}"
}

purge() {
  local folder path secrets removed=() failed=()
  secrets=$(secrets_elsewhere)
  [ -z "$(program)" ] || removed=("the program")
  remove_program
  # `kioskd key` has stored the key encrypted, or plain if this machine cannot encrypt.
  for path in /etc/kioskd /var/lib/kioskd /etc/systemd/system/kioskd.service.d "${keys[@]}"; do
    remove "$path"
  done
  systemctl daemon-reload
  while read -rd '' folder; do
    # A later user of this machine may get the number of the user kioskd.
    chown -R --from=kioskd root:root "$folder" || true
    if [ -z "$(find "$folder" -mindepth 1 -print -quit)" ]; then
      say "$folder: this folder of kioskd is empty, and stays"
    else
      say "$folder: transcripts, recordings or other files of kioskd stay here, and belong to root now: remove them when no one needs them"
    fi
  done < <(written_elsewhere)
  while read -r path; do
    [ ! -e "$path" ] || say "$path: this secret, which the settings or the unit named, stays: remove it when nothing else needs it"
  done <<<"$secrets"
  if getent passwd kioskd >/dev/null; then
    # Otherwise userdel warns that its group stays, as other users are in it.
    gpasswd --members '' kioskd >/dev/null 2>&1 || true
    if userdel kioskd; then removed+=("the user kioskd"); else failed+=("the user kioskd"); fi
  fi
  if getent group kioskd >/dev/null; then groupdel kioskd || failed+=("the group kioskd"); fi
  if getent passwd kioskd-tool >/dev/null; then
    if userdel kioskd-tool; then removed+=("the user kioskd-tool"); else failed+=("the user kioskd-tool"); fi
  fi
  if getent group kioskd-tool >/dev/null; then groupdel kioskd-tool || failed+=("the group kioskd-tool"); fi
  if [ "${#removed[@]}" -eq 0 ]; then
    say "no part of kioskd was here"
  else
    say "removed: $(printf '%s\n' "${removed[@]}" | paste -sd, | sed 's/,/, /g')"
  fi
  say "these stay, as other programs may need them: Debian packages, the journal, the systemd folder for credentials"
  [ "${#failed[@]}" -eq 0 ] || fail "could not be removed (see above): ${failed[*]}"
}

# remove PATH: removes a file, or a folder with its content. It follows no link, and enters no mounted file system.
remove() {
  local target
  if [ -L "$1" ]; then
    target=$(readlink -m "$1")
    rm -f "$1"
    say "$1: this was a link; its target stays: $target"
  elif [ -e "$1" ]; then
    rm -rf --one-file-system "$1" || true
    if [ -e "$1" ]; then failed+=("$1"); else removed+=("$1"); fi
  fi
}

# Prints the files of secrets that the settings or the unit name, without those that this script removes.
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
  # Without the program, which may be removed already: each of these settings is followed by a path.
  grep -v '^ *#' "$settings" 2>/dev/null |
    grep -oE '(key_file|credentials_file)["'\'']?: *["'\'']?/[^]"'\'',} ]+|credential:/[^]"'\'',} ]+' |
    sed 's,^[^/]*,,' | grep -v '^/etc/kioskd/' | sort -u || true
}

# Prints "the program" if a part of it is installed.
program() { if [ -e "$home/current" ] || [ -e "$units/kioskd.service" ]; then echo "the program"; fi; }

# Removes all files that this script has installed, with their links and folders.
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
  rmdir "$home" 2>/dev/null || [ ! -e "$home" ] || say "$home: files that do not belong to kioskd stay here"
  no_empty_folders
  reread
}

# --- the switch ----------------------------------------------------------------------------------------------------

# apart COMMAND…: runs a command that no lost or stopped terminal can end or delay. Its output goes to a file, and from
# there to the terminal.
apart() {
  local it
  trap '' HUP INT TERM
  trap - EXIT
  # The user who called sudo may read it.
  command install -m 600 -o "$asked" /dev/null "$log"
  "$@" >>"$log" 2>&1 </dev/null &
  it=$!
  tail --follow --lines=+1 --sleep-interval=0.2 --pid="$it" "$log" || true
  wait "$it"
}

# put_in NEW BEFORE OLDER READY LACKING: puts the new release in, and the old one back if the new one does not serve.
# LACKING: the old one did not serve either, because its owner had not given it a key or settings.
put_in() {
  local new=$1 before=$2 older=$3 ready_to_start=$4 was_lacking=$5
  # shellcheck disable=SC2064  # now, not then
  trap "put_back '$new' '$before' '$older'" EXIT
  activate "$new"
  systemctl --quiet enable kioskd
  if [ -z "$ready_to_start" ]; then
    say "$(basename "$new") is installed, and not started: correct $settings as shown above, then run: sudo systemctl start kioskd"
  elif start_and_look; then
    serves "$new"
  elif [ -n "$before" ] && { [ -z "$was_lacking" ] || [ "$(shown ExecMainStatus)" != 78 ]; }; then
    journal
    fail "$(basename "$new") does not serve (its last log lines are above)"
  elif [ "$(shown ExecMainStatus)" = 78 ]; then
    # This end was expected, and should not be listed as a failure.
    systemctl reset-failed kioskd
    say "$(basename "$new") is installed, and not started, because it still needs something from you:"
    journalctl --no-pager --output=cat --unit=kioskd "_PID=$(shown ExecMainPID)"
    say "the settings: sudo nano $settings; kioskd check"
    say "the key: sudo kioskd key"
    say "then start it: sudo systemctl restart kioskd"
  else
    trap - EXIT
    journal
    fail "kioskd does not serve (its last log lines are above). systemd goes on restarting it: correct the fault, or run $0 --uninstall"
  fi
  trap - EXIT
  forget_old_releases "$before"
}

# put_back NEW BEFORE OLDER: restores the state before, and removes NEW unless it is OLDER. It goes on after a failure.
put_back() {
  set +e
  [ -n "$2" ] || fail "$(basename "$1") could not be put in (see above): correct that, and run this again"
  say "going back to $(basename "$2")"
  activate "$2"
  if [ "$(current)" = "$2" ] && [ "$1" != "$3" ]; then rm -rf "$1" "$home/previous"; fi
  [ -z "$3" ] || point "$3" "$home/previous"
  start_and_look || fail "$(basename "$2") does not serve either: journalctl -u kioskd shows the reason"
  fail "went back to $(basename "$2"), which serves"
}

# swap BEFORE NOW: puts the release before in place of the one in use, and takes it out again if it does not serve.
swap() {
  # shellcheck disable=SC2064  # now, not then
  trap "put_back '$1' '$2' '$1'" EXIT
  activate "$1"
  start_and_look || { journal; fail "$(basename "$1") does not serve (its last log lines are above)"; }
  trap - EXIT
  serves "$1"
  say "--rollback returns to $(basename "$2")"
}

# --- steps ---------------------------------------------------------------------------------------------------------

# known_extras SOURCE EXTRAS: fails if one of these is not an optional part of the package. pip would go on without it.
known_extras() {
  local known unknown
  known=$(optional_parts "$1")
  unknown=$(tr ' ,' '\n\n' <<<"$2" | grep -vFx -e "$known" -e '' -e none || true)
  [ -z "$unknown" ] || fail "--extras: there is no optional part $(list "$unknown"); there are $(list "$known")"
}

# wanted_extras SOURCE EXTRAS: prints these, and the extras of the release in use. If "none" is among them, it prints only
# these.
wanted_extras() {
  local known kept='' gone
  known=$(optional_parts "$1")
  [[ ",${2// /,}," == *,none,* ]] || kept=$(installed_extras "$1")
  gone=$(tr , '\n' <<<"$kept" | grep -vFx -e "$known" -e '' || true)
  [ -z "$gone" ] || say "$(list "$gone"): there is no such optional part any more" >&2
  list "$(tr ' ,' '\n\n' <<<"$2,$kept" | grep -Fx "$known" || true)"
}

# installed_extras SOURCE: prints the extras of the release in use. A release of an older installer has no list of them:
# there an extra counts if the release holds its library.
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

# optional_parts SOURCE: prints the names of all extras.
optional_parts() { sed -nE '/^\[project\.optional-dependencies\]/,/^\[/s/^([a-z][a-z0-9-]*) *=.*/\1/p' "$1/pyproject.toml"; }

# debian_packages PACKAGE…: installs the packages that are missing.
debian_packages() {
  local package missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  if [ "${#missing[@]}" -eq 0 ]; then
    say "Debian packages: all are installed"
    return
  fi
  say "Debian packages: ${missing[*]}"
  apt-get update -q=2 || say "apt could not update its package lists: going on with the present ones"
  DEBIAN_FRONTEND=noninteractive apt-get install -q=2 -y --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt could not install ${missing[*]} (see above): correct that, and run this again"
}

# new_release SOURCE EXTRAS: makes the next release's folder, and prints its path. Another source never gets the same name,
# even after the release of that name was removed.
new_release() {
  local version number new made_of
  version=$(sed -nE 's/^__version__ *= *"([^"]+)".*/\1/p' "$1/daemon/kioskd/__init__.py")
  [ -n "$version" ] || fail "$1/daemon/kioskd/__init__.py: there is no __version__"
  made_of=$(made_of "$1" "$2")
  # The number is counted, not dated: a device may not know the time yet.
  number=$(find "$home/" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null |
    sed -nE 's/^[0-9].*-([1-9][0-9]*)$/\1/p' | sort -n | tail -1 || true)
  number=$((${number:-0} + 1))
  while grep -qF "$version-$number " "$names" 2>/dev/null && ! grep -qFx "$version-$number $made_of" "$names"; do
    number=$((number + 1))
  done
  new=$home/$version-$number
  # An existing folder gets this owner and mode, too: a strict umask may have closed it to the service.
  command install --directory --mode=755 --owner=root --group=root "$home" && mkdir "$new" || return
  grep -qFx "$version-$number $made_of" "$names" 2>/dev/null || echo "$version-$number $made_of" >>"$names"
  echo "$new"
}

# made_of SOURCE EXTRAS: prints a digest that differs for each other release.
made_of() {
  { cd "$1" && find pyproject.toml daemon config scripts systemd -name __pycache__ -prune -o -type f -print0 |
      sort -z | xargs -0 sha256sum && echo "$2"; } | sha256sum | cut -c1-16
}

# build SOURCE RELEASE EXTRAS WHEELS: fills the folder.
build() {
  local source=$1 new=$2 extras=$3 wheels=$4 needed wanted
  say "building $(basename "$new") (a minute or two)"
  /usr/bin/python3 -I -m venv --system-site-packages "$new"
  echo "$extras" >"$new/extras"
  # Every installation has these. The package itself then reads which parts the settings need.
  extras=$(list "watch $extras")
  locked "$source" "$new" "$wheels" kioskd "$extras"
  # The package's own build needs hatchling of the lock, and nothing from outside.
  locked "$source" "$new" "$wheels" build '' --target="$new/build"
  PYTHONPATH=$new/build pip "$new" "kioskd itself" --no-deps --no-index --no-build-isolation "$source"
  rm -r "$new/build"
  wanted=$("$new/bin/python" -I -m kioskd.settings.extras "$settings")
  needed=$(list "$extras $(sed -n 1p <<<"$wanted")")
  if [ "$needed" != "$extras" ]; then locked "$source" "$new" "$wheels" kioskd "$needed"; fi
  say "optional parts: $needed"
  # The owner's packages of tools: each release has its own copy.
  if [ -e "$packages" ]; then
    pip "$new" "what $packages lists" ${wheels:+"--find-links=$wheels"} --prefer-binary "--requirement=$packages"
  fi
  if [[ $wanted == *picamera2* ]]; then camera "$source" "$new" "$wheels" "$needed"; fi
  # The service cannot write there: what has no bytecode now would be compiled again at each start.
  "$new/bin/python" -I -m compileall -q "$new"/lib/python3*/site-packages ||
    say "some modules could not be compiled (see above): sudo kioskd doctor says whether they matter"
  mkdir "$new/system"
  cp "$source"/systemd/* "$source/scripts/completion.bash" "$source/config/kioskd.yaml" "$new/system/"
  man_pages "$new"
  if [ "$(systemd_version)" -lt 254 ]; then rm "$new/system/systemd-254.conf"; else rm "$new/system/systemd-252.conf"; fi
  # Some kernels give no real time to services. A unit that asks for it would not start there.
  systemd-run --quiet --wait --property=CPUSchedulingPolicy=rr --property=CPUSchedulingPriority=1 /bin/true 2>/dev/null ||
    rm "$new/system/realtime.conf"
}

# pip RELEASE WHAT ARGUMENTS…
pip() {
  local release=$1 what=$2
  shift 2
  "$release/bin/python" -I -m pip install --quiet --disable-pip-version-check "$@" ||
    fail "pip could not install $what (see above): correct that, and run this again"
}

# locked SOURCE RELEASE WHEELS GROUP EXTRAS [OPTION]: installs the group and these optional parts as the lock says.
locked() {
  local source=$1 release=$2 wheels=$3 group options=()
  for group in $4 ${5//,/ }; do options+=("--requirement=$source/scripts/locks/$group.txt"); done
  [ -z "$wheels" ] || options+=(--no-index "--find-links=$wheels")
  pip "$release" "the packages of scripts/locks" --require-hashes "${options[@]}" "${@:6}"
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

# camera SOURCE RELEASE WHEELS EXTRAS: installs Debian's picamera2 if there is one (Raspberry Pi OS), otherwise the one of
# the package index.
camera() {
  local release=$2 conflicts why
  if ! imports picamera2 "$release/bin/python"; then
    if apt-cache show python3-picamera2 >/dev/null 2>&1; then
      debian_packages python3-picamera2
    elif [ -z "$3" ]; then
      debian_packages python3-libcamera libcamera-ipa gcc python3-dev libcap-dev
      pip "$release" picamera2 --prefer-binary picamera2
    fi
  fi
  # Debian 12's picamera2 is compiled for its own numpy, and works with no newer one.
  if ! imports picamera2 "$release/bin/python" && imports picamera2 /usr/bin/python3; then
    "$release/bin/python" -I -m pip uninstall --quiet --yes numpy
    conflicts=$("$release/bin/python" -I -m pip check || true)
    if imports picamera2 "$release/bin/python" && [[ $conflicts != *" requirement numpy"* ]]; then
      say "numpy: this release uses Debian's, for which picamera2 was made"
    else
      locked "$1" "$release" "$3" kioskd "$4"
    fi
  fi
  why=$("$release/bin/python" -I -c 'import picamera2' 2>&1 | tail -1) || true
  [ -z "$why" ] ||
    say "picamera2 is installed, and does not work ($why): the camera stays off. Correct that, or set camera.source to off, or to v4l2:NAME for a USB camera"
}

# imports MODULE PYTHON: succeeds if this Python can import it.
imports() { "$2" -I -c "import $1" 2>/dev/null; }

# account_and_folders RELEASE: makes the users, their folders, and a settings file if there is none.
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

# self_test RELEASE: loads every command, and lists the devices.
self_test() {
  "$1/bin/kioskd" --version >/dev/null || fail "the new release does not run (see above)"
  # All commands in one process: a Raspberry Pi takes a second to start one.
  "$1/bin/python" -I -c 'import contextlib, io, sys
from kioskd.cli import COMMANDS, main
for command in COMMANDS:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            code = main([command, "--help"])
    except SystemExit as end:
        code = end.code
    if code:
        sys.exit(f"kioskd {command}: does not load")' || fail "the new release does not work (see above)"
  sandboxed "$1" devices >/dev/null || fail "kioskd devices does not work (see above, or the end of: sudo journalctl -e)"
  say "self-test passed"
}

# sandboxed RELEASE ARGUMENTS…: runs kioskd as the service would: with the user, keys and limits of the unit, and with the
# owner's changes by `systemctl edit`. An empty value resets a list, as in a unit.
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

# takes_the_settings RELEASE: succeeds if there is such a release, and it could start with the settings.
takes_the_settings() { [ -n "$1" ] && sandboxed "$1" check --config "$settings" >/dev/null 2>&1; }

# render_prompts RELEASE: renders the spoken prompts once. The daemon renders missing ones when it starts.
render_prompts() {
  local language
  language=$("$1/bin/python" -I -c 'import pathlib, sys; from kioskd.settings.load import load
print(load(pathlib.Path(sys.argv[1])).assistant.first_language)' "$settings")
  command install --directory --owner=kioskd --group=kioskd --mode=0700 /var/cache/kioskd
  runuser -u kioskd -- "$1/bin/python" -I -m kioskd.prompts "$language" --cache /var/cache/kioskd ||
    say "some spoken prompts are missing (see above); the kiosk works without them"
}

# activate RELEASE: installs its files, and points the link to it. The release in use becomes `previous`.
activate() {
  local release=$1 before part from to
  before=$(current)
  # Before any link leads to it: after a power cut one of the two releases is in use, and whole.
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

# point TARGET LINK: replaces the link in one step, so that it is never missing.
point() {
  mkdir -p "$(dirname "$2")"
  ln -sfn "$1" "$2.new"
  mv -T "$2.new" "$2"
}

# Has systemd, the journal and udev read the changed files.
reread() {
  systemctl daemon-reload
  journalctl --update-catalog 2>/dev/null || say "the journal's catalog could not be updated: journalctl -x explains less"
  if [ -S /run/udev/control ]; then
    { udevadm control --reload && udevadm trigger --subsystem-match=leds; } ||
      say "udev did not load the rules for lamps (see above): reboot before you use LEDs of the kernel"
  fi
}

# Restarts the service, and succeeds if it serves within a minute: it is ready, and some seconds later it still feeds its
# watchdog, which it does only by evidence.
start_and_look() {
  local until=$((SECONDS + well_within_s)) pid first
  systemctl reset-failed kioskd 2>/dev/null || true
  # timeout puts systemctl into a process group of its own, where no signal to this script ends it. SIGKILL is needed,
  # as systemctl ignores the other signals, like this script.
  timeout --signal=KILL "$well_within_s" systemctl --quiet restart kioskd || return 1
  pid=$(shown MainPID)
  first=$(shown WatchdogTimestampMonotonic)
  while [ "$SECONDS" -lt "$until" ]; do
    [ "$(shown ActiveState) $(shown MainPID)" = "active $pid" ] || return 1
    # The watchdog was fed again, some seconds after the first time.
    [ "$(shown WatchdogTimestampMonotonic)" -lt $((first + 3000000)) ] || return 0
    sleep 0.5
  done
  return 1
}

# serves RELEASE: reports that it serves, with its status if that is out of order: a wrong key, or no network.
serves() {
  local status
  status=$(shown StatusText)
  say "$(basename "$1") serves"
  [[ $status != "Out of order"* ]] || say "but it reports: $status"
}

shown() { systemctl show --value --property="$1" kioskd; }
journal() { journalctl --unit=kioskd --no-pager --lines=15 --output=short >&2; }
current() { readlink -e "$home/current" || true; }
systemd_version() { systemctl --version | sed -nE '1s/^systemd ([0-9]+).*/\1/p'; }

# Prints the folders of all releases, complete or not, without other folders that the owner has there.
releases() {
  find "$(readlink -m "$home")" -mindepth 1 -maxdepth 1 -type d -regextype posix-extended \
    -regex '.*/[0-9][^/]*-[1-9][0-9]*' -exec test -e '{}/pyvenv.cfg' ';' -print 2>/dev/null || true
}

# forget_old_releases BEFORE: removes all releases but the one in use and the one before.
forget_old_releases() {
  local release
  while read -r release; do
    if [ "$release" != "$(current)" ] && [ "$release" != "$1" ]; then rm -rf "$release"; fi
  done < <(releases)
}

# Prints the folders outside its own in which the daemon has written: those that `privacy:` names or has named.
written_elsewhere() {
  getent passwd kioskd >/dev/null || return 0
  find / -ignore_readdir_race \( -path /proc -o -path /sys -o -path /dev -o -path /run \) -prune -o \
    -user kioskd -prune \( -type d -print0 -o -printf '%h\0' \) | sort -zu
}

# Removes the empty folders that this script may have made.
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

# In one piece: bash reads a script while it runs it, and an upgrade may replace the file.
{ main "$@"; exit; }
