/**
 * The kernel's defences against floods (ipvs-sysctl.rst: drop_packet, secure_tcp). Modes: 0 off, 1 and 2 on while
 * resources run short, 3 always on. What runs short in the kernel is memory; here it is the connection table.
 */
import { ShardCell } from "../table/region.ts";
import { Setting } from "../table/settings.ts";
import type { Context } from "./context.ts";

/** Is a defence of this mode on now? */
export function underPressure(context: Context, mode: number): boolean {
  if (mode === 0) return false;
  if (mode === 3) return true;
  const { live, capacity } = context.connections;
  return live > capacity - (capacity >>> 3);
}

/**
 * drop_packet: with the defence on, the first and then every am_droprate-th new connection is dropped; a rate of 0 is
 * none at all (ip_vs_todrop).
 */
export function dropsThis(context: Context): boolean {
  const { settings, region, index } = context;
  const rate = settings[Setting.am_droprate]!;
  if (rate === 0 || !underPressure(context, settings[Setting.drop_packet]!)) return false;
  const cells = region.shards[index]!.cells;
  if (--cells[ShardCell.DropCounter]! > 0) return false;
  cells[ShardCell.DropCounter] = rate;
  return true;
}
