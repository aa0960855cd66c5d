// dr-director(8)
import { DATE, literal, optionItem, prose, sentence } from "./mdoc.mjs";

const synopsis = ({ name, args, options }) =>
  [
    ".Nm",
    `.Cm ${name}`,
    ...(options.some(({ mandatory }) => !mandatory) ? [".Op Ar options"] : []),
    ...options
      .filter(({ mandatory }) => mandatory)
      .map(({ long, value }) => `.Fl ${long.slice(1)} Ar ${value}`),
    ...args.map(({ name: argument, required, variadic }) => {
      const word = `Ar ${argument}${variadic ? " ..." : ""}`;
      return required ? `.${word}` : `.Op ${word}`;
    }),
  ].join("\n");

function extras({ choices, fallback, environment }) {
  const said = [];
  if (choices.length > 0) said.push(`One of ${choices.join(", ")}.`);
  if (fallback !== undefined && String(fallback) !== "")
    said.push(`Default: ${[fallback].flat().join(",")}.`);
  if (environment !== undefined) said.push(`Environment: ${environment}.`);
  return said.join(" ");
}

function item(head, { description, ...rest }) {
  const text = [description === "" ? "" : sentence(description), extras({ choices: [], ...rest })];
  return [head, prose(text.filter((part) => part !== "").join(" "))].filter((line) => line !== "").join("\n");
}

function commandText(command) {
  const { args, options, notes } = command;
  const told = args.filter(({ description, choices }) => description !== "" || choices.length > 0);
  const items = [
    ...told.map((each) => item(`.It Ar ${each.name}`, each)),
    ...options.map((each) => item(optionItem(each), each)),
  ];
  return [
    `.Ss ${command.name}`,
    prose(sentence(command.description)),
    ...(items.length > 0 ? [".Bl -tag -width Ds", ...items, ".El"] : []),
    ...(notes === "" ? [] : [".Pp", notesText(notes)]),
  ].join("\n");
}

/** Lines that are indented, or begin with the program's name, are shown as they are; the others are prose. */
function notesText(notes) {
  const parts = [];
  for (const line of notes.split("\n")) {
    const shown = /^\s+\S/.test(line);
    const last = parts.at(-1);
    if (last !== undefined && last.shown === shown && line.trim() !== "") last.lines.push(line.trim());
    else if (line.trim() !== "") parts.push({ shown, lines: [line.trim()] });
  }
  return parts.map(({ shown, lines }) => (shown ? literal(lines) : prose(lines.join(" ")))).join("\n");
}

export const programPage = ({
  commands,
}) => `.\\" Made by scripts/documents.mjs; change that, or the command's description.
.Dd ${DATE}
.Dt DR-DIRECTOR 8
.Os
.Sh NAME
.Nm dr-director
.Nd userspace LVS direct-routing director
.Sh SYNOPSIS
${commands.map(synopsis).join("\n")}
.Sh DESCRIPTION
.Nm
takes the frames that come for a virtual IP address, picks a real server for
each connection as the IP Virtual Server of the Linux kernel would, writes that
real server's MAC address over the frame's destination and its own over the
source, and sends it on.
Nothing from byte 12 on changes.
The real server has the virtual address on its loopback interface and answers
the client directly.
.Pp
Virtual services are set up by a configuration file,
.Xr dr-director.yaml 5 ,
by rules as
.Xr ipvsadm 8
prints them, and while it runs by
.Xr dradm 8 .
.Sh COMMANDS
.Nm
.Cm help Ar command
tells the same of one command.
${commands.map(commandText).join("\n")}
.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev DR_DIRECTOR_SOCKET
The control socket, where
.Fl -socket
is not given.
.It Ev NO_COLOR
No colours, whatever the terminal can do.
.It Ev NOTIFY_SOCKET , WATCHDOG_USEC
Where a service manager is told that the director is ready, reloads, stops and
is well, and how often; see
.Xr sd_notify 3 .
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /run/dr-director/control.sock
The control socket: HTTP and JSON, described by its own
.Pa /v1/openapi.json .
Root, the director's user and members of the configured group may use it.
.It Pa /run/dr-director/state
Services, connections and counters.
A director that is started again goes on with them.
.It Pa /etc/dr-director/director.yaml
Where the systemd unit looks for the configuration.
.El
.Sh EXIT STATUS
0, or 1 when something failed; with these exceptions:
.Bl -tag -width Ds
.It Cm plan
0 when nothing would change, 2 when something would.
So does
.Cm apply Fl -dry-run .
.It Cm convert Fl -strict
2 when something could not be carried over.
.It Cm doctor
1 when something is wrong, 2 when nothing could be examined.
.It Cm replay
3 when a capture is cut off or damaged.
.El
.Sh EXAMPLES
A director from a kernel director's rules:
.Bd -literal -offset indent
ipvsadm -S -n > rules
dr-director run --interface eth0 --rules rules
.Ed
.Pp
The same as a configuration file, compared with what runs, and taken over:
.Bd -literal -offset indent
dr-director convert rules > director.yaml
dr-director plan director.yaml
dr-director apply director.yaml
.Ed
.Pp
Metrics for Prometheus without a port:
.Bd -literal -offset indent
curl --unix-socket /run/dr-director/control.sock http://d/metrics
.Ed
.Sh SEE ALSO
.Xr dr-director.yaml 5 ,
.Xr dradm 8 ,
.Xr ipvsadm 8
`;
