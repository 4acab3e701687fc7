/**
 * Owns the normal form of a site's host: what a `Host` field and a configuration key must both become before they are
 * compared (RFC 3986 §3.2.2, RFC 5952 for IPv6). Refuses to know of sites and paths.
 */

/** How a site key names its hosts, most specific first. */
export const HostForm = { exact: "exact", suffix: "suffix", any: "any" } as const;
export type HostForm = (typeof HostForm)[keyof typeof HostForm];

export interface HostKey {
  readonly form: HostForm;
  /** Exact: the normal host. Suffix: the part behind `*.`. Any: empty. */
  readonly host: string;
  /** The listener's port that the key is bound to; 0 for all. */
  readonly port: number;
}

export type HostKeyResult =
  | { readonly ok: true; readonly key: HostKey }
  | { readonly ok: false; readonly allowed: string; readonly hint: string };

const hostAllowed = "a host name, an address, `*.suffix` or `*`, each with an optional `:port`";

/** A host as requests give it, in the form that keys have: lower case, no trailing dot, IPv6 in its shortest form. */
export function normalHost(host: string): string {
  if (host.charCodeAt(0) === 0x5b) return normalAddress(host) ?? host;
  const lower = host.toLowerCase();
  return lower.length > 1 && lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** Reads a site key. The port is split off first: in `[::1]:80` the one behind the bracket. */
export function parseHostKey(text: string): HostKeyResult {
  if (text === "") return refuse("name a host, or use `*` for all");
  if (text.includes("://")) return refuse(`leave out the scheme: "${text.slice(text.indexOf("://") + 3)}"`);
  if (text.includes("/")) return refuse("paths are keys inside the site, not part of its name");
  const split = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(text);
  if (split === null) return refuse(`write an IPv6 address in brackets: "[${text}]"`);
  const [, host = "", portText] = split;
  let port = 0;
  if (portText !== undefined) {
    port = /^[1-9][0-9]{0,4}$/.test(portText) ? Number(portText) : 0;
    if (port === 0 || port > 65535)
      return { ok: false, allowed: "a port from 1 to 65535", hint: "correct or leave out the port" };
  }
  if (host === "*") return { ok: true, key: { form: HostForm.any, host: "", port } };
  if (host.startsWith("[")) {
    const address = normalAddress(host);
    if (address === null) return refuse("the text in brackets is not an IPv6 address");
    return { ok: true, key: { form: HostForm.exact, host: address, port } };
  }
  const wild = host.startsWith("*.");
  const name = normalHost(wild ? host.slice(2) : host);
  const fault = nameFault(name);
  if (fault !== "") return refuse(fault);
  return { ok: true, key: { form: wild ? HostForm.suffix : HostForm.exact, host: name, port } };
}

function nameFault(name: string): string {
  if (name.includes("*")) return "a star stands alone or as the whole first label, as in `*.abc.test`";
  if (/[^\x00-\x7f]/.test(name)) {
    const ascii = URL.canParse(`http://${name}/`) ? new URL(`http://${name}/`).hostname : "";
    return ascii === "" ? "write the name in its ASCII form (xn--…)" : `write the name in its ASCII form: "${ascii}"`;
  }
  if (name.length > 253) return "a host name has at most 253 characters";
  for (const label of name.split(".")) {
    if (label === "") return "a label is empty: remove the extra dot";
    if (label.length > 63) return "a label has at most 63 characters";
    if (!/^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/.test(label))
      return `"${label}" is not a label: letters, digits and inner hyphens`;
  }
  return "";
}

/** `URL` reads and shortens IPv6 as RFC 5952 asks, without touching the network. */
function normalAddress(bracketed: string): string | null {
  const url = `http://${bracketed}/`;
  return URL.canParse(url) ? new URL(url).hostname : null;
}

function refuse(hint: string): HostKeyResult {
  return { ok: false, allowed: hostAllowed, hint };
}
