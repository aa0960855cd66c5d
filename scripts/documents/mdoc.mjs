// Text as mdoc(7) wants it: a sentence a line, no line too long, nothing that reads as a request.
const WIDTH = 78;

export const DATE = "November 20, 2026";

const safe = (text) =>
  text
    .replaceAll("\\", "\\e")
    .replace(/`([^`]+)`/g, "\\(oq$1\\(cq")
    .replaceAll("…", "...")
    .replaceAll("–", "\\(en");

/** A fragment as a sentence. */
export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** Lines of a paragraph. */
export function prose(text) {
  return safe(text)
    .split(/(?<=[.!?])\s+(?=[A-Z"\\])/)
    .flatMap(wrap)
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join("\n");
}

function wrap(text) {
  const lines = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + word.length + 1 > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].filter((each) => each !== "");
}

/** Lines shown as they are. */
export function literal(lines) {
  const shown = lines.map((line) => safe(line).replace(/^([.'])/, "\\&$1"));
  return [".Bd -literal -offset indent", ...shown, ".Ed"].join("\n");
}

/** ".It Fl c , -config Ar file" */
export function optionItem({ short, long, value }) {
  const names = [short, long].filter((name) => name !== undefined).map((name) => name.slice(1));
  const flags = names.map((name, i) => (i === 0 ? name : `, ${name}`)).join(" ");
  return `.It Fl ${flags}${value === undefined ? "" : ` Ar ${value.replace(/\.\.\.$/, " ...")}`}`;
}
