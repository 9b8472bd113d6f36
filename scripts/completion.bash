# Completes `kioskd` in bash. It asks kioskd itself, so it knows the commands of the installed version.
_kioskd() {
  local word=${COMP_WORDS[COMP_CWORD]} command='' index known=''
  for ((index = 1; index < COMP_CWORD; index++)); do
    [[ ${COMP_WORDS[index]} == -* ]] || { command=${COMP_WORDS[index]}; break; }
  done
  if [[ $word == -* ]]; then
    known=$(kioskd ${command:+"$command"} --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)
  elif [[ -z $command ]]; then
    known=$(kioskd --help 2>/dev/null | sed -nE 's/^    ([a-z]+)( .*)?$/\1/p')
  elif [[ $command == help ]]; then
    known=$(kioskd help 2>/dev/null | sed -nE 's/^  ([a-z-]+) .*/\1/p')
  fi
  mapfile -t COMPREPLY < <(compgen -W "$known" -- "$word")
}
complete -o default -F _kioskd kioskd
