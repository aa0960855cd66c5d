/**
 * Listens on one interface, a process of its own: `node tap.js INTERFACE SNAP`. One line of JSON a frame on stdout
 * (TapLine), until stdin ends; then a last line with the kernel's count of frames that it had to drop.
 *
 * Two sockets, because which way a frame went is known only to the kernel's filter: SKF_AD_PKTTYPE is PACKET_OUTGOING
 * (4) for frames that leave by this interface (kernel doc networking/filter, if_packet.h).
 */
import { isNativeError, native, openFrameSocket, Watch } from "../ring/native.ts";
import type { TapLine } from "./capture.ts";

const ETH_P_ALL = 3;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const BUFFER = 16 << 20;

const [device = "eth0", snapText = "65600"] = process.argv.slice(2);
const snap = Number(snapText);
const buffer = new Uint8Array(65_600);

/** Four instructions: load the packet type, keep the frame if it is (or is not) PACKET_OUTGOING. */
function directionFilter(sent: boolean): Uint8Array {
  const code = new Uint8Array(32);
  const view = new DataView(code.buffer);
  const write = (i: number, op: number, whenTrue: number, whenFalse: number, k: number): void => {
    view.setUint16(i * 8, op, true);
    code[i * 8 + 2] = whenTrue;
    code[i * 8 + 3] = whenFalse;
    view.setUint32(i * 8 + 4, k, true);
  };
  write(0, 0x20, 0, 0, 0xfffff004); // ld [SKF_AD_OFF + SKF_AD_PKTTYPE]
  write(1, 0x15, sent ? 0 : 1, sent ? 1 : 0, 4); // jeq #PACKET_OUTGOING
  write(2, 0x06, 0, 0, 0x40000); // ret all of it
  write(3, 0x06, 0, 0, 0); // ret nothing
  return code;
}

function open(sent: boolean): number {
  const { index } = native().link(device);
  // Bound to no protocol first: nothing may come in before the filter stands.
  const fd = openFrameSocket(index, 0);
  native().attachFilter(fd, directionFilter(sent));
  try {
    native().setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER);
  } catch (error) {
    if (!isNativeError(error, "EPERM")) throw error;
    native().setOption(fd, SOL_SOCKET, SO_RCVBUF, BUFFER); // in a user namespace: as much as rmem_max allows
  }
  native().bindPacket(fd, index, ETH_P_ALL);
  return fd;
}

function tell(line: TapLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function drain(fd: number, sent: boolean): void {
  for (;;) {
    const length = native().recv(fd, buffer);
    if (length < 0) return;
    const hex = Buffer.from(buffer.buffer, 0, Math.min(length, snap, buffer.length)).toString("hex");
    tell({ time: native().monotonic(), sent, length, hex });
  }
}

function dropped(fd: number): number {
  const statistics = new Uint32Array(3);
  native().getOption(fd, SOL_PACKET, PACKET_STATISTICS, statistics);
  return statistics[1]!;
}

const sockets = [false, true].map((sent) => ({ fd: open(sent), sent }));
for (const { fd, sent } of sockets) new Watch(fd, () => drain(fd, sent));
process.stdout.write("ready\n");

process.stdin.resume().on("end", () => {
  for (const { fd, sent } of sockets) drain(fd, sent);
  const line = JSON.stringify({ dropped: sockets.reduce((sum, { fd }) => sum + dropped(fd), 0) });
  process.stdout.write(`${line}\n`, () => process.exit(0));
});
