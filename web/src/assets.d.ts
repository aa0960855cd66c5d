/** What scripts/build-web.mjs puts into the page as text. */
declare module "*.pcap" {
  /** The file, packed by gzip, in base64. */
  export const capture: string;
}
