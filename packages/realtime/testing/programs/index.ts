/**
 * Whole programs in the style of Socket.IO's documentation, what stock clients do with them, and what those must see: the same
 * from `socket.io`, from ours by itself, and from ours behind Tideway.
 */
import { applications } from "./applications.ts";
import { documentation } from "./documentation.ts";
import type { Program } from "./program.ts";

export { type Program, sourceWith } from "./program.ts";

export const programs: Readonly<Record<string, Program>> = { ...documentation, ...applications };
