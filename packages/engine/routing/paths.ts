/**
 * Owns path keys: their normal form and the tree that finds the longest one matching whole segments. It expects request
 * paths as the parser normalised them (RFC 3986 §6.2.2: dot segments gone, upper-case percent digits) and refuses to
 * normalise them again, so that what is matched is what is forwarded.
 */

export type PathKeyResult =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly allowed: string; readonly hint: string };

/**
 * A path key in its normal form, as the parser makes a request's: no trailing slash (but for `/` itself), percent digits
 * in upper case, needless encoding undone.
 */
export function parsePathKey(text: string): PathKeyResult {
  if (!text.startsWith("/")) return refuse(`begin with a slash: "/${text}"`);
  if (/[?#]/.test(text)) return refuse("leave out query and fragment: only the path is matched");
  if (/[^\x21-\x7e]/.test(text)) return refuse("percent-encode white space, control and non-ASCII characters");
  if (/[\\"<>^`{|}*]/.test(text))
    return refuse("percent-encode this character; patterns are not supported, a key takes all below it");
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return refuse("a percent sign is followed by two hexadecimal digits");
  if (/%(?:[01][0-9A-Fa-f]|7[Ff])/.test(text)) return refuse("encoded control characters are refused in requests too");
  if (text.includes("//")) return refuse("remove the empty segment");
  const normal = text.replace(/%[0-9A-Fa-f]{2}/g, settled);
  const path = normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
  if (path === "/") return { ok: true, path };
  for (const segment of path.slice(1).split("/")) {
    if (segment === "." || segment === "..")
      return refuse("remove the dot segment: requests have none when they are matched");
  }
  return { ok: true, path };
}

/** RFC 3986 §6.2.2.2: unreserved characters need no encoding. */
function settled(code: string): string {
  const char = String.fromCharCode(Number.parseInt(code.slice(1), 16));
  return /[A-Za-z0-9\-._~]/.test(char) ? char : code.toUpperCase();
}

function refuse(hint: string): PathKeyResult {
  return { ok: false, allowed: "an absolute path of whole segments, such as `/` or `/api/v1`", hint };
}

/** True when `path` is `key` or lies below it. */
export function isBelow(path: string, key: string): boolean {
  if (key === "/" || path === key) return true;
  return path.startsWith(key) && path.charCodeAt(key.length) === 0x2f;
}

class PathNode<T> {
  value: T | null = null;
  children: Map<string, PathNode<T>> | null = null;
}

/** Segment by segment; the deepest node with a value wins. Costs one Map lookup per segment that any key has. */
export class PathTree<T> {
  #root = new PathNode<T>();

  /** False when the path has a value already. */
  add(path: string, value: T): boolean {
    let node = this.#root;
    if (path !== "/") {
      for (const segment of path.slice(1).split("/")) {
        node.children ??= new Map();
        let child = node.children.get(segment);
        if (child === undefined) {
          child = new PathNode();
          node.children.set(segment, child);
        }
        node = child;
      }
    }
    if (node.value !== null) return false;
    node.value = value;
    return true;
  }

  /** The value of the longest key; `*` (OPTIONS for the whole server) is answered by `/`. */
  find(path: string): T | null {
    let node = this.#root;
    let best = node.value;
    let start = 1;
    while (node.children !== null && start <= path.length && path.charCodeAt(start - 1) === 0x2f) {
      const slash = path.indexOf("/", start);
      const stop = slash < 0 ? path.length : slash;
      const child = node.children.get(path.slice(start, stop));
      if (child === undefined) break;
      node = child;
      best = node.value ?? best;
      start = stop + 1;
    }
    return best;
  }
}
