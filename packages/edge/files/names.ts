/**
 * From a request's path to the names of a file below the root. What could mean a place outside it, in any spelling, is no
 * name at all: `..%2f`, `%00`, backslashes, overlong UTF-8, doubled slashes. Knows nothing of the disk: links that lead
 * out are the store's matter.
 */

/** Names from the root down; an empty last one stands for a folder. Null when the path cannot be that of a file here. */
export function namesOfPath(path: string): string[] | null {
  if (!path.startsWith("/")) return null;
  const names = path.slice(1).split("/");
  for (let i = 0; i < names.length; i++) {
    const name = decodeName(names[i]!);
    // A doubled slash is not quietly one: `//host/` as a redirect's target would lead to another site.
    if (name === null || (name === "" && i < names.length - 1)) return null;
    names[i] = name;
  }
  return names;
}

function decodeName(raw: string): string | null {
  let name = raw;
  if (raw.includes("%")) {
    try {
      // Refuses overlong and broken UTF-8.
      name = decodeURIComponent(raw);
    } catch {
      return null;
    }
  }
  if (/[/\\\u0000-\u001f\u007f]/.test(name)) return null;
  // Hidden files are nobody's business (.git, .env), but for the place of RFC 8615. This takes `.` and `..` too.
  if (name.startsWith(".") && name !== ".well-known") return null;
  return name;
}
