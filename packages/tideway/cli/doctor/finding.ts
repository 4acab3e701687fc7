/** What an examination finds: what was looked at, whether it is well, and how to mend it when it is not. */

export type Subject = "configuration" | "ports" | "permissions" | "clock" | "disk" | "names" | "limits";

export interface Finding {
  readonly subject: Subject;
  /** `warning`: it works, but will surprise. `fault`: something will not work. */
  readonly level: "ok" | "warning" | "fault";
  /** One line: where, and what was seen. */
  readonly what: string;
  /** One line: a way out. Empty when all is well. */
  readonly fix: string;
}

export const ok = (subject: Subject, what: string): Finding => ({ subject, level: "ok", what, fix: "" });
export const warning = (subject: Subject, what: string, fix: string): Finding => ({
  subject,
  level: "warning",
  what,
  fix,
});
export const fault = (subject: Subject, what: string, fix: string): Finding => ({ subject, level: "fault", what, fix });
