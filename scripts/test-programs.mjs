// The programs that the tests hold dr-director against, and the Debian packages they come in. One list for
// scripts/setup.mjs, .ci/setup and the tests' own "is it there?".
import { programPath } from "./checks.mjs";

export const TEST_PROGRAMS = [
  { name: "nginx", package: "nginx-light", use: "a real server that is not ours" },
  { name: "ab", package: "apache2-utils", use: "many short connections" },
  { name: "wrk", package: "wrk", use: "many long connections" },
  { name: "curl", package: "curl", use: "downloads and uploads" },
  { name: "tshark", package: "tshark", use: "reads the captures we write" },
  { name: "tcpdump", package: "tcpdump", use: "captures beside ours" },
  { name: "nft", package: "nftables", use: "looks at the rules we set" },
  { name: "ethtool", package: "ethtool", use: "turns offloads off and on" },
  { name: "ping", package: "iputils-ping", use: "echo to the VIP" },
  { name: "chromium", package: "chromium", use: "opens the page" },
  { name: "ipvsadm", package: "ipvsadm", use: "the witness of our grammar and our listings" },
  { name: "keepalived", package: "keepalived", use: "drives dradm" },
  { name: "prometheus", package: "prometheus", use: "scrapes us, answers the dashboard's queries" },
  {
    name: "prometheus-node-exporter",
    package: "prometheus-node-exporter",
    use: "reads our /proc/net/ip_vs texts",
  },
  { name: "systemd-analyze", package: "systemd", use: "verifies the units" },
  { name: "mandoc", package: "mandoc", use: "reads the man pages" },
  { name: "man", package: "man-db", use: "reads the man pages, with groff" },
  { name: "zsh", package: "zsh", use: "its completion" },
  { name: "shellcheck", package: "shellcheck", use: "reads bash's completion" },
];

export const missingForTests = () => TEST_PROGRAMS.filter((program) => !programPath(program.name));

// `node scripts/test-programs.mjs` prints the packages that are missing, for .ci/setup.
if (process.argv[1]?.endsWith("test-programs.mjs")) {
  for (const program of missingForTests()) process.stdout.write(`${program.package}\n`);
}
