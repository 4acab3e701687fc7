/** All cases, by what they are about. */
import type { Case } from "../case.ts";
import { chunks } from "./chunks.ts";
import { encodings } from "./encodings.ts";
import { fields } from "./fields.ts";
import { hops } from "./hops.ts";
import { hosts } from "./hosts.ts";
import { lengths } from "./lengths.ts";
import { lineEnds } from "./line-ends.ts";
import { requestLines } from "./request-lines.ts";
import { targets } from "./targets.ts";

export const cases: readonly Case[] = [
  ...lineEnds,
  ...requestLines,
  ...hosts,
  ...targets,
  ...fields,
  ...lengths,
  ...encodings,
  ...chunks,
  ...hops,
];
