/** What both formats show of a request's fields: who asks, and where from. Found in one pass, and without the referer's query. */
import type { FieldList } from "@tideway/base";

export interface Shown {
  /** Undefined when there is no such field: an empty one is something else. */
  agent: string | undefined;
  referer: string | undefined;
  authorization: string | undefined;
}

/** Fills `into`, which is made once, with the first field of each name. */
export function showFields(head: { readonly fields: FieldList } | null, queries: boolean, into: Shown): void {
  into.agent = undefined;
  into.referer = undefined;
  into.authorization = undefined;
  if (head === null) return;
  const { fields } = head;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at];
    if (name === "user-agent") into.agent ??= fields[at + 1]!;
    else if (name === "referer") into.referer ??= fields[at + 1]!;
    else if (name === "authorization") into.authorization ??= fields[at + 1]!;
  }
  // The query of a page is in the referer of all that it loads.
  if (!queries && into.referer !== undefined) into.referer = withoutQuery(into.referer);
}

function withoutQuery(url: string): string {
  const mark = url.indexOf("?");
  return mark < 0 ? url : url.slice(0, mark);
}
