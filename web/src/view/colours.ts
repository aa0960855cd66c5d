/**
 * Which real server has which colour: eight that people with any colour vision tell apart (after Okabe and Ito), the
 * same in the picture, the lists and the chart. The values stand in style.css, by theme.
 */
const COLOURS = 8;

/** The class that gives an element real server number `i`'s colour. */
export function serverClass(i: number): string {
  return i < 0 ? "server-none" : `server-${i % COLOURS}`;
}

/** The colour itself, for a canvas. */
export function serverColour(i: number): string {
  return getComputedStyle(document.documentElement)
    .getPropertyValue(`--server-${i % COLOURS}`)
    .trim();
}

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
