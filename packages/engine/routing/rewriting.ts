/**
 * Owns what becomes of a request's path on its way to the service: the matched prefix removed, or replaced by another.
 */
import { parsePathKey } from "./paths.ts";

/** The two of a RouteMatch that say it. */
export interface PathChange {
  /** The prefix to remove before forwarding, which the path begins with; empty for none. */
  readonly strip: string;
  /** What stands in its place, without a trailing slash; empty for nothing. */
  readonly rewrite: string;
}

/** The path as the service sees it. `*` (OPTIONS for the whole server) has no prefix and stays. */
export function forwardedPath({ strip, rewrite }: PathChange, path: string): string {
  if ((strip === "" && rewrite === "") || path.charCodeAt(0) !== 0x2f) return path;
  const changed = rewrite + path.slice(strip.length);
  return changed.charCodeAt(0) === 0x2f ? changed : `/${changed}`;
}

/** What `strip` and `rewrite` of a route mean for the path that it stands at, in normal form. */
export function pathChange(path: string, strip: boolean, rewrite: string | undefined): PathChange | PathChangeFault {
  const prefix = path === "/" ? "" : path;
  if (rewrite === undefined) return { strip: strip ? prefix : "", rewrite: "" };
  if (strip) {
    const hint = "leave out `strip`: `rewrite` puts its value in the place of the prefix";
    return { allowed: "`strip` or `rewrite`", hint };
  }
  const parsed = parsePathKey(rewrite);
  if (!parsed.ok) return parsed;
  return { strip: prefix, rewrite: parsed.path === "/" ? "" : parsed.path };
}

export interface PathChangeFault {
  readonly allowed: string;
  readonly hint: string;
}
