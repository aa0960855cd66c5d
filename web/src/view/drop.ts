/** A capture dropped anywhere on the page. */

export function acceptDrops(curtain: HTMLElement, take: (file: File) => void, wanted: () => boolean): void {
  let depth = 0;
  const show = (visible: boolean): void => {
    curtain.hidden = !visible;
  };
  const carriesFile = (event: DragEvent): boolean =>
    wanted() && (event.dataTransfer?.types.includes("Files") ?? false);
  document.addEventListener("dragenter", (event) => {
    if (!carriesFile(event)) return;
    depth++;
    show(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!carriesFile(event)) return;
    depth = Math.max(0, depth - 1);
    show(depth > 0);
  });
  document.addEventListener("dragover", (event) => {
    if (carriesFile(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    const file = event.dataTransfer?.files[0];
    if (file !== undefined) take(file);
  });
}
