# bash completion for dradm(8), dradm-save(8) and dradm-restore(8)

_dradm_commands='-A --add-service -E --edit-service -D --delete-service -C --clear -R --restore -S --save
  -a --add-server -e --edit-server -d --delete-server -L -l --list -Z --zero --set -h --help -v --version --socket'

# The services there are, as "option address" lines: "-t 10.0.0.100:80".
_dradm_services() {
  "$1" ${2:+--socket "$2"} -S -n 2>/dev/null | sed -n 's/^-A \(-t\|-u\|-f\|--sctp-service\) \([^ ]*\).*/\1 \2/p'
}

# The real servers of the service named on the command line.
_dradm_servers() {
  "$1" ${2:+--socket "$2"} -S -n 2>/dev/null |
    awk -v option="$3" -v address="$4" '$1 == "-a" && $2 == option && $3 == address {
      for (i = 4; i < NF; i++) if ($i == "-r") print $(i + 1) }'
}

_dradm() {
  local program=${COMP_WORDS[0]} cur prev words cword i
  local socket='' command='' option='' address=''
  # an address has colons, at which bash would split it
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n : cur prev words cword
  else
    cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
  fi
  COMPREPLY=()

  for ((i = 1; i < cword; i++)); do
    case ${words[i]} in
      --socket) socket=${words[i + 1]} ;;
      -t | -u | -f | --sctp-service) option=${words[i]} address=${words[i + 1]} ;;
      --tcp-service) option=-t address=${words[i + 1]} ;;
      --udp-service) option=-u address=${words[i + 1]} ;;
      --fwmark-service) option=-f address=${words[i + 1]} ;;
    esac
    if [[ -z $command && ${words[i]} == -* && ${words[i]} != --socket ]]; then command=${words[i]}; fi
  done

  local choices=''
  case $prev in
    --socket)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return ;;
    -t | --tcp-service) choices=$(_dradm_services "$program" "$socket" | sed -n 's/^-t //p') ;;
    -u | --udp-service) choices=$(_dradm_services "$program" "$socket" | sed -n 's/^-u //p') ;;
    -f | --fwmark-service) choices=$(_dradm_services "$program" "$socket" | sed -n 's/^-f //p') ;;
    --sctp-service) choices=$(_dradm_services "$program" "$socket" | sed -n 's/^--sctp-service //p') ;;
    -r | --real-server)
      if [[ $command != -a && $command != --add-server ]]; then
        choices=$(_dradm_servers "$program" "$socket" "$option" "$address")
      fi ;;
    -s | --scheduler) choices='rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos' ;;
    -b | --sched-flags) choices='sh-fallback sh-port sh-fallback,sh-port mh-fallback mh-port mh-fallback,mh-port flag-1 flag-2 flag-3' ;;
    -w | --weight | -x | --u-threshold | -y | --l-threshold | -M | --netmask | --pe | --set) return ;;
    *)
      local service='-t --tcp-service -u --udp-service --sctp-service -f --fwmark-service'
      [[ $option == -f ]] && service='-6 --ipv6'
      [[ -n $option && $option != -f ]] && service=
      case $command in
        '') choices=$_dradm_commands ;;
        -A | -E | --add-service | --edit-service)
          choices="$service -s --scheduler -b --sched-flags -p --persistent -M --netmask --pe -o --ops" ;;
        -a | -e | --add-server | --edit-server)
          choices="$service -r --real-server -g --gatewaying -w --weight -x --u-threshold -y --l-threshold" ;;
        -d | --delete-server) choices="$service -r --real-server" ;;
        -D | --delete-service | -Z | --zero) choices=$service ;;
        -S | --save) choices='-n --numeric' ;;
        -[Ll]* | --list)
          choices="$service -n --numeric -c --connection --timeout --daemon --stats --rate --exact --thresholds
            --persistent-conn --tun-info --nosort --sort" ;;
      esac ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
}

_dradm_script() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  if [[ $prev == --socket ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  else
    local choices=--socket
    [[ ${COMP_WORDS[0]##*/} == dradm-save ]] && choices='-n --socket'
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
  fi
}

complete -F _dradm dradm
complete -F _dradm_script dradm-save dradm-restore
