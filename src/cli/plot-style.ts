/** What our SVG pictures have in common. They follow the viewer's light or dark theme and need no script. */

/**
 * Ground, text and grid for both themes.
 * @param light custom properties of the picture's own, `--name:value;…`, for the light theme
 * @param dark the same ones for the dark theme
 * @param rules the picture's own rules
 */
export function plotStyle(light: string, dark: string, rules: string): string {
  return `<style>
:root{color-scheme:light dark;--ground:#fff;--ink:#1c1c1c;--faint:#d9d9d9;--soft:#5c5c5c;${light}}
@media (prefers-color-scheme:dark){:root{--ground:#161616;--ink:#ececec;--faint:#3a3a3a;--soft:#a5a5a5;${dark}}}
.ground{fill:var(--ground)}text{fill:var(--ink);font:12px system-ui,sans-serif}.title{font-weight:600;font-size:14px}
.soft{fill:var(--soft)}.grid{stroke:var(--faint);stroke-width:1}${rules}
</style>`;
}

export function escapeText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** A step of 1, 2 or 5 times a power of ten that divides `span` into at most `most` parts. */
export function niceStep(span: number, most: number): number {
  const rough = Math.max(span, Number.MIN_VALUE) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5, 10].find((n) => n * power >= rough) ?? 10);
}
