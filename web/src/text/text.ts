/** The page's words in the reader's language. */
import { remember, remembered } from "../dom.ts";
import { en } from "./en.ts";
import { zh } from "./zh.ts";

export type Key = keyof typeof en;
export type Language = "en" | "zh";
export type Values = Readonly<Record<string, string | number>>;

const DICTIONARIES: Readonly<Record<Language, Readonly<Record<Key, string>>>> = { en, zh };
const listeners: (() => void)[] = [];

let language: Language = firstLanguage();

function firstLanguage(): Language {
  const kept = remembered("language");
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function currentLanguage(): Language {
  return language;
}

/** The sentence under `key`, its {names} replaced by `values`. */
export function t(key: Key, values: Values = {}): string {
  return DICTIONARIES[language][key].replace(/\{(\w+)\}/g, (hole, name: string) =>
    String(values[name] ?? hole),
  );
}

/** The sentence under a key made at run time, or `otherwise` where there is none. */
export function tOr(key: string, otherwise: string, values: Values = {}): string {
  return Object.hasOwn(en, key) ? t(key as Key, values) : otherwise;
}

/** A number as the reader writes it. */
export function n(value: number): string {
  return value.toLocaleString(language === "zh" ? "zh-CN" : "en-GB", { maximumFractionDigits: 1 });
}

export function setLanguage(next: Language): void {
  language = next;
  remember("language", next);
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = t((element as HTMLElement).dataset.text as Key);
  }
  for (const listener of listeners) listener();
}

/** Called each time the language changes, and once at the beginning by setLanguage. */
export function onLanguage(listener: () => void): void {
  listeners.push(listener);
}
