/** Chooses a content coding by Accept-Encoding (RFC 9110 §12.5.3). Pure. */

/** The codings whose files lie beside the original, by their extension. */
export const codings = { br: ".br", zstd: ".zst", gzip: ".gz" } as const;
export type Coding = keyof typeof codings | "identity";

/** The weights that a client gave: coding → 0…1. */
function weights(field: string): Map<string, number> {
  const out = new Map<string, number>();
  for (const part of field.split(",", 64)) {
    const [name = "", ...parameters] = part.split(";");
    const q = parameters
      .map((text) => /^\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/i.exec(text)?.[1])
      .find((text) => text !== undefined);
    const coding = name.trim().toLowerCase();
    if (coding !== "") out.set(coding === "x-gzip" ? "gzip" : coding, q === undefined ? 1 : Number(q));
  }
  return out;
}

/**
 * The best of what there is: the client's weight decides, then the size. `available` always holds identity, which is sent
 * also when the client forbids it and nothing else is left: an answer is worth more than a 406.
 */
export function chooseCoding(
  field: string | undefined,
  available: readonly { coding: Coding; size: number }[],
): Coding {
  if (field === undefined || available.length === 1) return "identity";
  const asked = weights(field);
  const any = asked.get("*");
  let best: { coding: Coding; size: number; weight: number } | undefined;
  for (const { coding, size } of available) {
    // Unnamed, identity is welcome but behind anything named (RFC 9110 §12.5.3, rule 2).
    const weight = asked.get(coding) ?? any ?? (coding === "identity" ? 0.0001 : 0);
    if (weight === 0) continue;
    if (best === undefined || weight > best.weight || (weight === best.weight && size < best.size))
      best = { coding, size, weight };
  }
  return best?.coding ?? "identity";
}
