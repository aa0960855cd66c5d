/** The questions to one real server, and what it answered. Knows no socket and no clock. */
import { formatMac, type Mac } from "../../wire/address.ts";
import { Protocol } from "../../wire/ipv4.ts";
import { TCP_FLAGS } from "../../wire/tcp.ts";
import type { PortAnswer, ServerSeen } from "./observations.ts";
import { number4, type Port, type ServerPatient } from "./patient.ts";
import { type Answer, echoRequest, emptyDatagram, FAR_CLIENT, tcpSegment, type Way } from "./probes.ts";

export interface ServerProbeOptions {
  readonly server: ServerPatient;
  readonly mac: Mac;
  readonly own: Mac;
  readonly dip: number;
  readonly mtu: number;
  readonly send: (frame: Uint8Array) => boolean;
  /** Asks by ARP for the real server as a sender beyond the gateway would. */
  readonly askFar: (to: Mac) => void;
}

interface Question {
  readonly send: () => void;
  /** Silence is an answer too: then it is asked once, and not waited for. */
  readonly once?: boolean;
  asked: boolean;
  answered: boolean;
}

interface PortQuestion extends Question, Port {
  readonly vip: string;
  answer: PortAnswer;
}

/** Of each VIP so many ports are asked. */
const MOST_PORTS = 8;
const MOST_VIPS = 8;
const SMALL = 56;
/** Sizes that links are known to have, tried at once before the exact one is sought. */
const LADDER = [9000, 1500, 1492, 1476, 1460, 1450, 1430, 1400, 1350, 1300, 1280, 1200, 1000, 576];
const FINEST = 64;

let lastPort = 40_000 + (process.pid % 10_000);
let lastIdentifier = process.pid & 0xffff;

export class ServerProbe {
  readonly rip: string;
  readonly macText: string;
  readonly #options: ServerProbeOptions;
  readonly #identifier: number;
  /** Echo questions by sequence number. */
  readonly #echoes = new Map<number, Question & { size: number; address: number }>();
  readonly #ports = new Map<number, PortQuestion>();
  readonly #far: Question;
  #mss = 0;
  #cut = false;
  #sequence = 0;

  constructor(options: ServerProbeOptions) {
    const { server, mac, mtu } = options;
    this.#options = options;
    this.rip = server.rip;
    this.macText = formatMac(mac);
    lastIdentifier = (lastIdentifier + 1) & 0xffff;
    this.#identifier = lastIdentifier;
    const rip = number4(server.rip);
    this.#askEcho(rip, SMALL);
    this.#askEcho(rip, mtu);
    for (const [vip, ports] of [...server.vips].slice(0, MOST_VIPS)) {
      this.#askEcho(number4(vip), SMALL);
      this.#askWayBack(number4(vip));
      for (const port of ports.slice(0, MOST_PORTS)) this.#askPort(vip, port);
    }
    this.#far = { send: () => options.askFar(mac), asked: false, answered: false };
  }

  /** Something is still unanswered. */
  get open(): boolean {
    return this.#questions().some(({ asked, answered, once }) => !(once ? asked : answered));
  }

  /** Sends every question that is not answered (again). */
  ask(): void {
    for (const question of this.#questions()) {
      if (question.answered || (question.once && question.asked)) continue;
      question.asked = true;
      question.send();
    }
  }

  answered(from: number, answer: Answer): void {
    if (answer.kind === "echo") {
      const question = this.#echoes.get(answer.sequence);
      if (answer.identifier !== this.#identifier || question?.address !== from) return;
      question.answered = true;
      this.#cut ||= answer.cut;
      return;
    }
    const question = this.#ports.get(answer.port);
    if (question === undefined || number4(question.vip) !== from) return;
    question.answered = true;
    question.answer = answer.kind;
    if (answer.kind === "open") this.#mss = answer.mss;
  }

  answeredFar(): void {
    this.#far.answered = true;
  }

  /** When small packets pass and one of our MTU does not: makes the questions that find the limit. */
  beginMeasuring(): boolean {
    const rip = number4(this.rip);
    if (!this.#passed(rip, SMALL) || this.#passed(rip, this.#options.mtu)) return false;
    for (const size of LADDER) if (size < this.#options.mtu) this.#askEcho(rip, size);
    return true;
  }

  /** Between the largest that passed and the smallest that did not, in as many steps as are reasonable at once. */
  refineMeasuring(): void {
    const { largest, lost } = this.#limits();
    const step = Math.max(1, Math.ceil((lost - largest) / FINEST));
    for (let size = largest + step; size < lost; size += step) this.#askEcho(number4(this.rip), size);
  }

  /** Takes back the connections that were asked for, so that the real server does not wait for us. */
  end(): void {
    for (const [from, { answer, protocol, vip, port }] of this.#ports) {
      // Also where nothing was heard: the answer may be on its way.
      if (answer === "closed" || protocol !== Protocol.Tcp) continue;
      this.#options.send(tcpSegment(this.#way(number4(vip)), from, port, TCP_FLAGS.RST, from + 1));
    }
  }

  seen(): Pick<ServerSeen, "mac" | "echo" | "vips" | "answersFarSender" | "mss" | "largest" | "lost"> {
    const vips = [...this.#options.server.vips.keys()].slice(0, MOST_VIPS).map((vip) => ({
      vip,
      echo: this.#passed(number4(vip), SMALL),
      ports: [...this.#ports.values()]
        .filter((question) => question.vip === vip)
        .map(({ protocol, port, answer }) => ({ protocol, port, answer })),
    }));
    const echo = this.#passed(number4(this.rip), SMALL);
    const limits = echo ? this.#limits() : { largest: 0, lost: 0 };
    return {
      mac: this.macText,
      echo,
      vips,
      answersFarSender: this.#far.answered,
      mss: this.#mss,
      ...limits,
    };
  }

  #questions(): Question[] {
    return [...this.#echoes.values(), ...this.#ports.values(), this.#far];
  }

  #way(destination: number, source = this.#options.dip): Way {
    return { from: this.#options.own, to: this.#options.mac, source, destination };
  }

  #askEcho(address: number, size: number): void {
    const sequence = ++this.#sequence;
    const send = (): void =>
      void this.#options.send(echoRequest(this.#way(address), this.#identifier, sequence, size));
    this.#echoes.set(sequence, { send, asked: false, answered: false, size, address });
  }

  /** As from a client far away: the answer shows which way answers go. None comes to us where all is well. */
  #askWayBack(vip: number): void {
    const sequence = ++this.#sequence;
    const send = (): void =>
      void this.#options.send(echoRequest(this.#way(vip, FAR_CLIENT), this.#identifier, sequence));
    this.#echoes.set(sequence, { send, once: true, asked: false, answered: false, size: 0, address: 0 });
  }

  #askPort(vip: string, { protocol, port }: Port): void {
    lastPort = lastPort >= 60_000 ? 40_000 : lastPort + 1;
    const from = lastPort;
    const way = this.#way(number4(vip));
    const isTcp = protocol === Protocol.Tcp;
    const frame = isTcp ? tcpSegment(way, from, port, TCP_FLAGS.SYN, from) : emptyDatagram(way, from, port);
    const send = (): void => void this.#options.send(frame);
    // An open UDP port is silent.
    const once = !isTcp;
    this.#ports.set(from, {
      send,
      once,
      asked: false,
      answered: false,
      vip,
      protocol,
      port,
      answer: "silent",
    });
  }

  #passed(address: number, size: number): boolean {
    return [...this.#echoes.values()].some(
      (echo) => echo.answered && echo.address === address && echo.size === size,
    );
  }

  #limits(): { largest: number; lost: number } {
    const rip = number4(this.rip);
    const sizes = [...this.#echoes.values()].filter(({ address }) => address === rip);
    const largest = Math.max(0, ...sizes.filter(({ answered }) => answered).map(({ size }) => size));
    const unanswered = sizes
      .filter(({ answered, size }) => !answered && size > largest)
      .map(({ size }) => size);
    return { largest, lost: unanswered.length === 0 ? 0 : Math.min(...unanswered) };
  }
}
