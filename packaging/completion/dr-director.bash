# bash completion for dr-director(8); made by scripts/documents.mjs from the program's own grammar

# What may follow in a command ($1) after a word ($2): sets choices and files.
_dr_director_after() {
  case $1 in
    apply)
      case $2 in
        --socket) files=yes; return ;;
      esac
      choices='--socket --dry-run --json --color --no-color --help'; files=yes ;;
    bench)
      case $2 in
        --ring) choices='packet xdp xdp!'; return ;;
        --wait) choices='poll busy adaptive'; return ;;
        --size) :; return ;;
        --flows) :; return ;;
        --rate) :; return ;;
        --seconds) :; return ;;
        --plot) files=yes; return ;;
      esac
      choices='--ring --wait --size --flows --rate --seconds --json --plot --help' ;;
    capture)
      case $2 in
        -w | --write) files=yes; return ;;
        -C | --size) :; return ;;
        -W | --files) :; return ;;
        -c | --count) :; return ;;
        -s | --snap) :; return ;;
        --service) :; return ;;
        --client) :; return ;;
        --verdict) :; return ;;
        --socket) files=yes; return ;;
      esac
      choices='-w --write -C --size -W --files -c --count -s --snap --service --client --verdict --socket --help' ;;
    check)
      case $2 in
        --scheduler) files=yes; return ;;
      esac
      choices='--scheduler --quiet --help'; files=yes ;;
    convert)
      case $2 in
        --from) choices='rules yaml keepalived'; return ;;
        --to) choices='yaml rules'; return ;;
      esac
      choices='--from --to --strict --help'; files=yes ;;
    doctor)
      case $2 in
        -c | --config) files=yes; return ;;
        --socket) files=yes; return ;;
        -i | --interface) :; return ;;
        --patience) :; return ;;
      esac
      choices='-c --config --socket -i --interface --patience --json --help' ;;
    explain)
      case $2 in
        --from) :; return ;;
        --to) :; return ;;
        --protocol) choices='tcp udp sctp icmp'; return ;;
        --flags) :; return ;;
        --payload) :; return ;;
        --ttl) :; return ;;
        -c | --config) files=yes; return ;;
        --mac) :; return ;;
        --scheduler) files=yes; return ;;
        --socket) files=yes; return ;;
      esac
      choices='--from --to --protocol --flags --payload --ttl -c --config --mac --to-us --alone --scheduler --json --socket --help'; files=yes ;;
    export)
      case $2 in
        --socket) files=yes; return ;;
        --state) files=yes; return ;;
      esac
      choices='--socket --state --help' ;;
    import)
      case $2 in
        --state) files=yes; return ;;
        --shards) :; return ;;
        --scheduler) files=yes; return ;;
      esac
      choices='--state --shards --scheduler --help'; files=yes ;;
    lab)
      case $2 in
        --shards) :; return ;;
        --ring) choices='packet xdp xdp!'; return ;;
        --scheduler) files=yes; return ;;
        --web) :; return ;;
        --fault) :; return ;;
        --lesson) :; return ;;
        --answer) :; return ;;
      esac
      choices='--once --json --keep --shards --ring --scheduler --web --fault --doctor --lesson --answer --help' ;;
    plan)
      case $2 in
        --socket) files=yes; return ;;
      esac
      choices='--socket --json --color --no-color --help'; files=yes ;;
    proc)
      case $2 in
        --socket) files=yes; return ;;
      esac
      choices='ip_vs ip_vs_stats --socket --help'; files=yes ;;
    replay)
      case $2 in
        -c | --config) files=yes; return ;;
        -o | --out) files=yes; return ;;
        --mac) :; return ;;
        --scheduler) files=yes; return ;;
      esac
      choices='-c --config -o --out --all --mac --scheduler --json --help'; files=yes ;;
    run)
      case $2 in
        -i | --interface) :; return ;;
        -c | --config) files=yes; return ;;
        --rules) files=yes; return ;;
        --socket) files=yes; return ;;
        --state) files=yes; return ;;
        --metrics) :; return ;;
        --web) :; return ;;
        --shards) :; return ;;
        --cpus) :; return ;;
        --ring) choices='packet xdp xdp!'; return ;;
        --wait) choices='poll busy adaptive'; return ;;
        --silence) choices='auto require off'; return ;;
        --log) choices='trace debug info warn error'; return ;;
        --scheduler) files=yes; return ;;
        --capture) files=yes; return ;;
        --capture-size) :; return ;;
        --capture-files) :; return ;;
        --capture-count) :; return ;;
        --capture-snap) :; return ;;
        --capture-service) :; return ;;
        --capture-client) :; return ;;
        --capture-verdict) :; return ;;
      esac
      choices='-i --interface -c --config --rules --socket --state --metrics --web --shards --cpus --ring --wait --silence --log --takeover --scheduler --capture --capture-size --capture-files --capture-count --capture-snap --capture-service --capture-client --capture-verdict --help' ;;
    simulate)
      case $2 in
        -s | --scheduler) files=yes; return ;;
        -b | --sched-flags) :; return ;;
        -w | --weights) :; return ;;
        --remove) :; return ;;
        --connections) :; return ;;
        --rate) :; return ;;
        --duration) :; return ;;
        --clients) :; return ;;
        --addresses) :; return ;;
        --seed) :; return ;;
        --from) files=yes; return ;;
        --vip) :; return ;;
        --plot) files=yes; return ;;
      esac
      choices='-s --scheduler -b --sched-flags -w --weights --remove --connections --rate --duration --clients --addresses --seed --from --vip --json --plot --help' ;;
    top)
      case $2 in
        --socket) files=yes; return ;;
        --interval) :; return ;;
        --count) :; return ;;
      esac
      choices='--socket --once --interval --count --help' ;;
  esac
}

_dr_director() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} choices='' files=''
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    choices='apply bench capture check convert doctor explain export import lab plan proc replay run simulate top help --help --version'
  else
    _dr_director_after "${COMP_WORDS[1]}" "$prev"
  fi
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
  if [[ -n $files && $cur != -* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur")
  fi
}

complete -F _dr_director dr-director
