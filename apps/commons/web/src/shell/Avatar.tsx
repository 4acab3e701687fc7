/** A circle with an initial, in a colour that belongs to the name. */
import type { Account } from "../../../contract.ts";

export function Avatar({ account, small = false }: { account: Account; small?: boolean }) {
  let hash = 0;
  for (const char of account.name) hash = (hash * 31 + char.charCodeAt(0)) % 360;
  return (
    <span class={small ? "avatar avatar--small" : "avatar"} style={{ "--hue": String(hash) }} aria-hidden="true">
      {account.name.charAt(0).toUpperCase()}
    </span>
  );
}
