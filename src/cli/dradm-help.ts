/** dradm --help: ipvsadm's synopsis, what each word means, and what this director leaves out. */
export const DRADM_HELP = `Usage:
  dradm -A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [--pe engine] [-b sched-flags] [-o]
  dradm -D virtual-service
  dradm -C
  dradm -R
  dradm -S [-n]
  dradm -a|e virtual-service -r server-address [-g] [-w weight] [-x upper] [-y lower]
  dradm -d virtual-service -r server-address
  dradm -L|l [virtual-service] [options]
  dradm -Z [virtual-service]
  dradm --set tcp tcpfin udp
  dradm -h | -v

Commands (the first word of a command line):
  --add-service     -A        add a virtual service
  --edit-service    -E        change a virtual service; what is not given gets its default
  --delete-service  -D        delete a virtual service and its destinations
  --clear           -C        delete everything
  --restore         -R        carry out commands from standard input, one a line
  --save            -S        print commands that restore the present table
  --add-server      -a        add a real server to a virtual service
  --edit-server     -e        change a real server; what is not given gets its default
  --delete-server   -d        take a real server out of a virtual service
  --list            -L|-l     print the table (also without any command)
  --zero            -Z        zero the counters of a service or of all
  --set tcp tcpfin udp        set connection timeouts in seconds; 0 keeps one
  --help            -h        this text
  --version         -v        the version

virtual-service, one of:
  --tcp-service     -t host[:port]    host is a name, an IPv4 address or [IPv6 address]
  --udp-service     -u host[:port]
  --sctp-service    host[:port]
  --fwmark-service  -f mark           packets with this mark, 1 to 4294967295
  --ipv6            -6                after -f: its packets are IPv6

Options:
  --scheduler       -s scheduler      rr|wrr|lc|wlc|lblc|lblcr|dh|sh|sed|nq|fo|ovf|mh|twos (default wlc)
  --sched-flags     -b flags          sh-fallback,sh-port, mh-fallback,mh-port or flag-1,flag-2,flag-3
  --persistent      -p [timeout]      a client stays with its real server (default 360 seconds)
  --netmask         -M netmask        clients of one network stay together (IPv6: a prefix length)
  --pe              engine            persistence engine
  --ops             -o                schedule each packet for itself (UDP)
  --real-server     -r host[:port]    the real server
  --gatewaying      -g                direct routing (the default, and the only method of this director)
  --weight          -w weight         0 (quiesced) to 2147483647, default 1
  --u-threshold     -x upper          no new connections from this many on; 0 = no limit
  --l-threshold     -y lower          new ones again below this many
  --numeric         -n                addresses and ports as numbers
  --connection      -c                list connections
  --timeout                           list the timeouts
  --daemon                            list the sync daemons (there are none)
  --stats                             list packets and bytes
  --rate                              list them per second
  --thresholds                        list connection thresholds
  --persistent-conn                   list persistent connections; with -c persistence engines' data
  --tun-info                          list tunnels
  --exact                             never shorten a number to K, M, G or T
  --nosort                            list in the kernel's order
  --sort                              does nothing

  --socket PATH                       the director's control socket (else $DR_DIRECTOR_SOCKET,
                                      else /run/dr-director/control.sock)

Not supported, and refused: --masquerading -m, --ipip -i and its --tun-* options, --start-daemon, --stop-daemon.
Exit codes are ipvsadm's: 0 done, 2 command line wrong or director out of reach, 255 refused, 1 a list failed.
`;
