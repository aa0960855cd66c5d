/** Elements in one call, and the few things that every view does with them. */

type Attribute = string | number | boolean | undefined | ((event: Event) => void);
type Child = Node | string | undefined | false;

const SVG = "http://www.w3.org/2000/svg";

function fill(
  element: Element,
  attributes: Readonly<Record<string, Attribute>>,
  children: readonly Child[],
): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== undefined && child !== false) element.append(child);
  }
}

/** An HTML element. An attribute that is a function listens: `onclick`. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  fill(element, attributes, children);
  return element;
}

/** An SVG element. */
export function s<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, name);
  fill(element, attributes, children);
  return element;
}

/** The element of that id, which index.html has. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element;
}

/** Sets text only where it changed: a reader's selection stays, and nothing is laid out anew. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Brings a table body's rows to `count`, made by `make`. */
export function fitRows(body: Element, count: number, make: () => Element): void {
  while (body.children.length > count) body.lastElementChild!.remove();
  while (body.children.length < count) body.append(make());
}

/** A table that scrolls in itself when the page is narrow; whoever uses the keyboard can reach it. */
export function scrolling(label: string, table: HTMLElement): HTMLElement {
  return h("div", { class: "scrolling", tabindex: 0, role: "region", "aria-label": label }, table);
}

/** Something this browser keeps for the next visit; files opened from disk may keep nothing. */
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(`dr-director.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`dr-director.${key}`, value);
  } catch {
    // Then it is forgotten.
  }
}
