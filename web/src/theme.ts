/** Light, dark, or as the system says; kept for the next visit. */
import { remember, remembered } from "./dom.ts";
import { onLanguage, t } from "./text/text.ts";

type Theme = "auto" | "light" | "dark";
const NEXT: Readonly<Record<Theme, Theme>> = { auto: "dark", dark: "light", light: "auto" };

export function startTheme(button: HTMLElement, changed: () => void): void {
  const kept = remembered("theme");
  let theme: Theme = kept === "light" || kept === "dark" ? kept : "auto";
  const show = (): void => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const label = t("theme", { theme: t(`theme.${theme}`) });
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    remember("theme", theme);
    show();
    changed();
  });
  onLanguage(show);
  show();
}
