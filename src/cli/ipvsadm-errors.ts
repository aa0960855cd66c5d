import type { CommandError, IpvsadmCommand } from "../control/model.ts";

type Kind = IpvsadmCommand["kind"];

/** What ipvsadm says of an errno, by command where it makes a difference. */
const BY_COMMAND: Readonly<Partial<Record<Kind, Readonly<Record<string, string>>>>> = {
  addService: {
    EEXIST: "Service already exists",
    ENOENT: "Scheduler or persistence engine not found",
  },
  editService: { ESRCH: "No such service", ENOENT: "Scheduler or persistence engine not found" },
  deleteService: { ESRCH: "No such service" },
  zero: { ESRCH: "No such service" },
  list: { ESRCH: "No such service" },
  addServer: { ESRCH: "Service not defined", EEXIST: "Destination already exists" },
  editServer: { ESRCH: "Service not defined", ENOENT: "No such destination" },
  deleteServer: { ESRCH: "Service not defined", ENOENT: "No such destination" },
};

const ALWAYS: Readonly<Record<string, string>> = {
  ESRCH: "No such process",
  EPERM: "Permission denied (you must be root)",
  EINVAL: "Invalid operation.  Possibly wrong module version, address not unicast, ...",
  ENOMEM: "Memory allocation problem",
  EAFNOSUPPORT: "Operation not supported with specified address family",
  ERANGE: "Numerical result out of range",
  ENOENT: "No such file or directory",
  EEXIST: "File exists",
};

/** A refused command's message in ipvsadm's words; for what only this director refuses, the director's own. */
export function errorMessage(kind: Kind, error: CommandError): string {
  return BY_COMMAND[kind]?.[error.code] ?? ALWAYS[error.code] ?? error.message;
}
