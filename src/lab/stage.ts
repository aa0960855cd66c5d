/** A whole cluster that stands and answers, and can be changed on purpose: what faults, lessons and stories play on. */
import { join } from "node:path";
import type { ConfigInput } from "../control/config-schema.ts";
import type { DoctorReport } from "../control/doctor/report.ts";
import { built } from "./built.ts";
import type { Echo } from "./datagram.ts";
import { DirectorProgram } from "./director-program.ts";
import { Lab } from "./lab.ts";
import type { Program } from "./program.ts";
import { ECHO_PORT, HTTP_PORT, type LabOptions, realServerAddress, VIP } from "./topology.ts";
import { Client, type Round, startServers } from "./traffic.ts";

export interface StageOptions {
  /** Where config, state and control socket go. */
  folder: string;
  lab?: LabOptions;
  /** Laid over `stageConfig`. */
  config?: ConfigInput;
}

/** HTTP on port 80 and echo on UDP 7, round robin over every real server. */
export function stageConfig(realServers: number): ConfigInput {
  const servers = Array.from({ length: realServers }, (_, i) => ({ address: realServerAddress(i) }));
  return {
    vips: [{ address: VIP }],
    services: [
      { protocol: "tcp", address: VIP, port: HTTP_PORT, scheduler: "rr", servers },
      { protocol: "udp", address: VIP, port: ECHO_PORT, scheduler: "rr", servers },
    ],
  };
}

export class Stage {
  readonly lab: Lab;
  readonly client: Client;
  /** The real servers' programs by name. */
  readonly servers: Map<string, Program>;
  readonly folder: string;
  /** The config as it was at first. */
  readonly config: ConfigInput;
  director: DirectorProgram;
  /** Words before a command on the director's host, as long as a fault keeps something from it. */
  confinement: readonly string[] = [];

  private constructor(
    lab: Lab,
    client: Client,
    servers: Map<string, Program>,
    director: DirectorProgram,
    options: { folder: string; config: ConfigInput },
  ) {
    this.lab = lab;
    this.client = client;
    this.servers = servers;
    this.director = director;
    this.folder = options.folder;
    this.config = options.config;
  }

  /** What stands already. */
  static of(parts: Pick<Stage, "lab" | "client" | "servers" | "director" | "folder" | "config">): Stage {
    const { lab, client, servers, director, folder, config } = parts;
    return new Stage(lab, client, servers, director, { folder, config });
  }

  static async create({ folder, lab: labOptions = {}, config: own = {} }: StageOptions): Promise<Stage> {
    const lab = await Lab.create({ clientAddresses: 8, ...labOptions });
    try {
      const config = { ...stageConfig(lab.realServers.length), ...own };
      const [client, servers, director] = await Promise.all([
        Client.start(lab),
        startServers(lab),
        DirectorProgram.start(lab, config, { folder }),
      ]);
      return new Stage(lab, client, servers, director, { folder, config });
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Config file of the director. */
  get configFile(): string {
    return join(this.folder, "director.yaml");
  }

  /** Has the director take another config over, and waits until it has. */
  async reload(change: ConfigInput): Promise<void> {
    const heard = this.director.program.next(/"event":"(reloaded|reload-failed)"/);
    this.director.reload({ ...this.config, ...change });
    const line = await heard;
    if (line.includes("reload-failed")) throw new Error(`the director refused: ${line}`);
  }

  /** Ends the director if it runs, and starts it with this change; its state file stays. */
  async restart(change: ConfigInput = {}): Promise<void> {
    await this.director.stop();
    const config = { ...this.config, ...change };
    this.director = await DirectorProgram.start(this.lab, config, { folder: this.folder });
  }

  /** kill -9: it has no time to tidy up. */
  async kill(): Promise<void> {
    this.director.program.signal("SIGKILL");
    await this.director.program.ended;
  }

  async startServer(name: string): Promise<void> {
    const started = await startServers(this.lab, [name]);
    for (const [each, program] of started) this.servers.set(each, program);
  }

  /** The router asks anew who has the VIP. */
  async forgetVip(): Promise<void> {
    await this.lab.in("router").sh(`ip neigh flush to ${VIP} 2>/dev/null || true`);
  }

  /** `dradm` with these words, on the director's host. Throws with its own words when it refuses. */
  async dradm(...words: string[]): Promise<string> {
    const argv = [process.execPath, built("cli/dradm.js"), ...words];
    const env = { DR_DIRECTOR_SOCKET: this.director.socket };
    const { code, stdout, stderr } = await this.lab.run("director", argv, { env });
    if (code !== 0) throw new Error(`dradm ${words.join(" ")}: ${stderr.trim()}`);
    return stdout;
  }

  /** `dr-director doctor` on the director's host; `patience` in ms. */
  async doctor(patience = 200): Promise<{ report: DoctorReport; code: number }> {
    const words = ["doctor", "--json", "--config", this.configFile, "--socket", this.director.socket];
    const argv = [...this.confinement, process.execPath, built("cli/dr-director.js"), ...words];
    const outcome = await this.lab.run("director", [...argv, "--patience", String(patience)]);
    if (outcome.stdout === "") throw new Error(`doctor: ${outcome.stderr}`);
    return { report: JSON.parse(outcome.stdout) as DoctorReport, code: outcome.code };
  }

  /** A few requests at once, each on a connection of its own; by default one may take 5 s on a busy machine. */
  requests(count: number, more: Parameters<Client["request"]>[0] = {}): Promise<Round> {
    return this.client.request({ requests: count, parallel: count, ...more });
  }

  /** One datagram to the echo service and what came back. */
  async datagram(bytes: number): Promise<Echo> {
    const argv = [process.execPath, built("lab/datagram.js"), VIP, String(ECHO_PORT), String(bytes)];
    const { stdout, stderr } = await this.lab.run("client", argv);
    if (stdout === "") throw new Error(`the client could not send a datagram: ${stderr.trim()}`);
    return JSON.parse(stdout) as Echo;
  }

  close(): Promise<void> {
    return this.lab.close();
  }
}
