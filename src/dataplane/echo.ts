/**
 * Echo requests to a VIP that we, and not the host's stack, own are answered in place. One that comes in pieces is
 * answered piece by piece: each goes back as it came, and the first as a reply. The client puts the pieces together,
 * which the kernel does before it answers; a piece that is missing leaves the client without an answer in either case.
 */
import { Setting } from "../table/settings.ts";
import * as ethernet from "../wire/ethernet.ts";
import { ICMP_HEADER, ICMP_TYPE, IcmpType } from "../wire/icmp.ts";
import { makeEchoReply, makeEchoReplyPiece } from "../wire/icmp-message.ts";
import { Icmpv6Type } from "../wire/icmpv6.ts";
import { makeEchoReply6, makeEchoReplyPiece6 } from "../wire/icmpv6-message.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import type { Context } from "./context.ts";
import { FLOW_VIRTUAL, fillFlow } from "./flow.ts";
import { isMartian } from "./schedule.ts";
import { Verdict } from "./verdict.ts";

/** A whole echo request; its code is nobody's business (icmp_echo answers any). */
export function answerEcho(context: Context, i: number): Verdict {
  const { frames, ring } = context;
  const ip = frames.ip[i]!;
  const four = isFour(context, i);
  const header = four ? ipv4.IPV4_HEADER : ipv6.IPV6_HEADER;
  const refused = mayAnswer(context, i, header);
  if (refused !== Verdict.Answered) return refused;
  if (four) makeEchoReply(ring.view, ip, context.limiter.identification());
  else makeEchoReply6(ring.view, ip);
  sendBack(context, i);
  return Verdict.Answered;
}

/** The first piece of an ICMP message: if it is an echo request to us, its other pieces may be answered too. */
export function answerFirstPiece(context: Context, i: number): Verdict {
  const { frames, ring } = context;
  const at = frames.transport[i]!;
  if (at + ICMP_HEADER > frames.ip[i]! + frames.bytes[i]!) return Verdict.Malformed;
  const request = isFour(context, i) ? IcmpType.EchoRequest : Icmpv6Type.EchoRequest;
  return ring.view.getUint8(at + ICMP_TYPE) === request ? answerPiece(context, i) : Verdict.NotOurs;
}

/** Any piece of an echo request. */
export function answerPiece(context: Context, i: number): Verdict {
  const { frames, ring } = context;
  const ip = frames.ip[i]!;
  const four = isFour(context, i);
  const header = four ? ipv4.IPV4_HEADER : ipv6.IPV6_HEADER + ipv6.IPV6_FRAGMENT_HEADER;
  const refused = mayAnswer(context, i, header);
  if (refused !== Verdict.Answered) return refused;
  if (four) makeEchoReplyPiece(ring.view, ip);
  else makeEchoReplyPiece6(ring.view, ip);
  sendBack(context, i);
  return Verdict.Answered;
}

function isFour({ frames, ring }: Context, i: number): boolean {
  return ipv4.version(ring.view, frames.ip[i]!) === 4;
}

/** Answered if so: to one of our addresses, behind `header` bytes and no option, sound, and from one who can be. */
function mayAnswer(context: Context, i: number, header: number): Verdict {
  const { directory, flow, frames, ring, settings } = context;
  const ip = frames.ip[i]!;
  const four = isFour(context, i);
  if (settings[Setting.answer_echo] === 0 || frames.transport[i] !== ip + header) return Verdict.NotOurs;
  fillFlow(context, i);
  if (!directory.isOwn(flow.words, FLOW_VIRTUAL)) return Verdict.NotOurs;
  const sound = !isMartian(context) && (!four || ipv4.checksumIsRight(ring.view, ip));
  return sound ? Verdict.Answered : Verdict.Malformed;
}

/** To the MAC that the frame came from. */
function sendBack({ frames, ring, directory }: Context, i: number): void {
  const at = frames.burst.at[i]!;
  const hi = ethernet.macHi(ring.view, at + ethernet.ETH_SOURCE);
  const lo = ethernet.macLo(ring.view, at + ethernet.ETH_SOURCE);
  ethernet.writeMac(ring.view, at, hi, lo);
  ethernet.writeMac(ring.view, at + ethernet.ETH_SOURCE, directory.station.macHi, directory.station.macLo);
}
