import { Option } from "commander";

/** `--socket PATH`, or DR_DIRECTOR_SOCKET: where every client finds the director. */
export function socketOption(): Option {
  return new Option("--socket <path>", "the director's control socket").env("DR_DIRECTOR_SOCKET");
}
