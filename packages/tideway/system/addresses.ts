/** Where the running system is: what a person or a program needs to reach it. */
export interface SystemAddresses {
  readonly listeners: readonly { readonly host: string; readonly port: number }[];
  /** Where TCP and UDP services are: host and port. */
  readonly streams: readonly {
    readonly address: string;
    readonly protocol: "tcp" | "udp";
    readonly service: string;
  }[];
  /** A URL for each listener and site with a name of its own; the first is the listener's plain address. */
  readonly sites: readonly string[];
  readonly console: { readonly address: string; readonly tokenFile: string } | null;
  /** Host and port of the name server. */
  readonly names: string | null;
}
