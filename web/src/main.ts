/** The page: takes a source of frames and shows what it tells. */
import { EmptyCapture } from "./browser/recording.ts";
import { byId, setText } from "./dom.ts";
import type { Frame, Picture, ServerRow, Source, Speed } from "./model.ts";
import { firstSource, recordedSource, sourceOf } from "./sources.ts";
import { currentLanguage, type Key, n, onLanguage, setLanguage, t, type Values } from "./text/text.ts";
import { startTheme } from "./theme.ts";
import { acceptDrops } from "./view/drop.ts";
import { FrameDetail } from "./view/frame-detail.ts";
import { FrameList } from "./view/frame-list.ts";
import { drawLegend } from "./view/legend.ts";
import { Rates } from "./view/rates.ts";
import { ServicePanel } from "./view/service.ts";
import { Tables } from "./view/tables.ts";
import { serversOf, Topology } from "./view/topology.ts";
import { Transport } from "./view/transport.ts";
import type { Names } from "./view/why.ts";

/** Milliseconds a line of the picture takes, by speed. */
const LEG: Readonly<Record<Speed, number>> = { slow: 1770, normal: 620, fast: 155, flood: 480 };
const LIVE_LEG = 420;
const PICTURE_MS = 250;

class Page implements Names {
  #source: Source;
  #picture: Picture | undefined;
  #notice: { key: Key; values: Values } | undefined;
  #pictureAt = 0;
  #last = performance.now();
  #chose = false;
  readonly #topology = new Topology(byId("topology"));
  readonly #detail = new FrameDetail(byId("frame-detail"), this);
  readonly #list = new FrameList(
    byId("frame-list"),
    (address) => this.indexOf(address),
    (address) => this.nameOf(address),
  );
  readonly #service = new ServicePanel(byId("service-panel"), byId("service-name"));
  readonly #rates = new Rates(byId("rates-panel"));
  readonly #tables = new Tables(
    {
      verdicts: byId("verdicts"),
      neighbours: byId("neighbours"),
      connections: byId("connections"),
      connectionsNote: byId("connections-note"),
    },
    this,
  );
  readonly #transport = new Transport(byId("transport"), {
    onPlay: (playing) => this.#play(playing),
    onStep: () => this.#step(),
    onRestart: () => this.#restart(),
    onSpeed: (speed) => this.#setSpeed(speed),
    onFile: (file) => void this.#open(file),
    onSource: (kind) => void sourceOf(kind).then((source) => this.#use(source)),
  });

  constructor() {
    this.#source = firstSource();
    this.#topology.animation.onPick = (frame) => this.#pick(frame, true);
    this.#list.onPick = (frame) => this.#pick(frame, true);
    acceptDrops(
      byId("drop"),
      (file) => void this.#open(file),
      () => this.#source.kind !== "live" && this.#source.kind !== "lab",
    );
    document.addEventListener("keydown", (event) => this.#key(event));
    onLanguage(() => this.#words());
    startTheme(byId("theme"), () => this.#recolour());
    const language = byId("language");
    language.addEventListener("click", () => setLanguage(currentLanguage() === "en" ? "zh" : "en"));
    this.#use(this.#source);
    setLanguage(currentLanguage());
    requestAnimationFrame((now) => this.#turn(now));
  }

  get #isLive(): boolean {
    return this.#source.kind === "live" || this.#source.kind === "lab";
  }

  nameOf(address: string): string {
    return this.#serverAt(address)?.name ?? address;
  }

  addressOf(address: string): string {
    const server = this.#serverAt(address);
    return server === undefined || server.shown === address ? address : server.name;
  }

  #serverAt(address: string): ServerRow | undefined {
    return this.#picture === undefined
      ? undefined
      : serversOf(this.#picture).find((each) => each.address === address);
  }

  indexOf(address: string): number {
    return this.#picture === undefined
      ? -1
      : serversOf(this.#picture).findIndex((each) => each.address === address);
  }

  #use(source: Source): void {
    if (source !== this.#source) this.#source.close();
    this.#source = source;
    this.#notice = undefined;
    source.onFrame = (frame) => this.#hear(frame);
    source.onPowers = () => {
      this.#transport.draw(source);
      this.#service.redraw();
      this.#look();
    };
    source.onNotice = (key, values) => this.#note(key as Key, values ?? {});
    this.#transport.draw(source);
    source.setSpeed(this.#transport.speed);
    source.setPaused(!this.#transport.playing);
    this.#setLeg();
    this.#list.decimals = source.kind === "generator" ? 2 : 3;
    this.#forget();
    this.#service.setSource(source);
    this.#where();
    this.#look();
  }

  /** Everything that belongs to what was shown before. */
  #forget(): void {
    this.#chose = false;
    this.#picture = undefined;
    this.#list.clear();
    this.#detail.show(undefined);
    this.#topology.animation.clear();
    this.#rates.clear();
  }

  /** The source's clock and everything drawn hang on the screen's own beat: a hidden page rests. */
  #turn(now: number): void {
    const passed = Math.min(250, now - this.#last);
    this.#last = now;
    // A frame is told with names and colours, which the picture knows.
    if (this.#picture === undefined) this.#look();
    this.#source.advance(passed);
    if (now - this.#pictureAt >= PICTURE_MS) {
      this.#pictureAt = now;
      this.#look();
    }
    this.#list.refresh(now);
    requestAnimationFrame((time) => this.#turn(time));
  }

  #look(): void {
    const picture = this.#source.picture();
    if (picture === undefined) return;
    this.#picture = picture;
    this.#topology.show(picture);
    this.#service.show(picture);
    this.#rates.show(picture);
    this.#tables.show(picture);
    setText(byId("frames-count"), this.#count(picture));
    this.#status(picture);
  }

  #count({ frames, told }: Picture): string {
    const values = { total: n(frames), told: n(told) };
    if (this.#isLive) return t(told < frames ? "status.live.sampled" : "status.live", values);
    return t(told < frames ? "status.sampled" : "status.all", values);
  }

  #hear(frame: Frame): void {
    this.#topology.play(frame);
    this.#list.add(frame);
    // The first frame that was scheduled opens the explanation; after that the reader chooses.
    const scheduled = (frame.explanation?.scheduling ?? null) !== null && frame.after !== undefined;
    if (!this.#chose && scheduled) this.#pick(frame, false);
  }

  #pick(frame: Frame, hold: boolean): void {
    this.#chose = true;
    this.#list.pick(frame, hold);
    this.#detail.show(frame);
  }

  #play(playing: boolean): void {
    this.#source.setPaused(!playing);
    this.#topology.animation.paused = !playing;
    if (playing) this.#list.follow();
    this.#look();
  }

  #step(): void {
    if (this.#transport.playing) {
      this.#transport.setPlaying(false);
      this.#play(false);
    }
    const heard: Frame[] = [];
    const before = this.#source.onFrame;
    this.#source.onFrame = (frame) => {
      heard.push(frame);
      before(frame);
    };
    const more = this.#source.step();
    this.#source.onFrame = before;
    this.#topology.animation.stepping = true;
    const first = heard[0];
    if (first !== undefined) {
      this.#list.follow();
      this.#pick(first, false);
    }
    if (!more) this.#note("status.over", {});
    this.#look();
  }

  #restart(): void {
    this.#source.restart();
    this.#forget();
    this.#notice = undefined;
    this.#service.setSource(this.#source);
    this.#look();
  }

  #setSpeed(speed: Speed): void {
    this.#source.setSpeed(speed);
    this.#setLeg();
    this.#look();
  }

  #setLeg(): void {
    this.#topology.animation.leg = this.#isLive ? LIVE_LEG : LEG[this.#transport.speed];
  }

  async #open(file: File): Promise<void> {
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      const source = recordedSource(bytes, file.name);
      this.#use(source);
      source.introduce();
    } catch (error) {
      if (error instanceof EmptyCapture) this.#note("notice.capture.empty", { name: file.name });
      else
        this.#note("notice.capture.bad", {
          name: file.name,
          why: error instanceof Error ? error.message : String(error),
        });
    }
  }

  #note(key: Key, values: Values): void {
    this.#notice = { key, values };
    if (this.#picture !== undefined) this.#status(this.#picture);
    this.#where();
  }

  #status(_picture: Picture): void {
    const still = this.#topology.animation.still ? t("status.still") : "";
    const notice = this.#notice === undefined ? "" : t(this.#notice.key, this.#notice.values);
    const past = this.#source.kind === "live" ? t("status.live.note") : "";
    const paused = this.#transport.playing ? "" : t("status.paused");
    setText(byId("status"), [notice, paused, past, still].filter((text) => text !== "").join(" "));
  }

  #where(): void {
    const { kind, label } = this.#source;
    const name = label === "" ? t("source.recording") : label;
    setText(byId("where"), t(`where.${kind}`, { name }));
  }

  #words(): void {
    const language = byId("language");
    setText(language, t("language"));
    language.setAttribute("aria-label", `${t("language")}: ${t("language.label")}`);
    language.lang = currentLanguage() === "en" ? "zh-CN" : "en";
    drawLegend(byId("legend"));
    this.#transport.draw(this.#source);
    this.#service.redraw();
    this.#tables.redraw();
    this.#rates.redraw();
    this.#list.words();
    this.#detail.redraw();
    this.#where();
    this.#look();
  }

  #recolour(): void {
    this.#rates.redraw();
    this.#look();
  }

  /** Space plays and pauses, the right arrow steps: unless a control has the focus, which uses them itself. */
  #key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (target.closest("button, select, input, [tabindex='0'], summary, a") !== null) return;
    if (event.key === " ") this.#transport.toggle();
    else if (event.key === "ArrowRight" && this.#source.powers.step) this.#step();
    else return;
    event.preventDefault();
  }
}

new Page();
