/** Who is signed in on this page, and the actions that change it. */
import { signal } from "@preact/signals";
import type { Account } from "../../../contract.ts";
import { api } from "../api.ts";

/** Undefined until the server has said. */
export const account = signal<Account | null | undefined>(undefined);
/** A word above the sign-in form, for who did not ask for it. */
export const signInReason = signal("");

export async function findAccount(): Promise<void> {
  try {
    account.value = (await api.session()).account;
  } catch {
    // Nobody known; whoever tries to write will be asked, and answered, then.
    account.value ??= null;
  }
}

export async function signUp(name: string, password: string): Promise<void> {
  account.value = (await api.signUp(name, password)).account;
  signInReason.value = "";
}

export async function signIn(name: string, password: string): Promise<void> {
  account.value = (await api.signIn(name, password)).account;
  signInReason.value = "";
}

export async function signOut(): Promise<void> {
  await api.signOut();
  account.value = null;
}

/** The server no longer knows the session that this page believed in. */
export function expireSession(): void {
  signInReason.value = "Your session has ended. Sign in to go on; nothing that you wrote is lost.";
  account.value = null;
}
