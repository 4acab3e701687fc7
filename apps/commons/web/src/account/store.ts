/** Who is signed in on this page, and the actions that change it. */
import { signal } from "@preact/signals";
import type { Account } from "../../../contract.ts";
import { api } from "../api.ts";

/** Undefined until the server has said. */
export const account = signal<Account | null | undefined>(undefined);
/** A word above the sign-in form, for who did not ask for it. */
export const signInReason = signal("");

/** The other tabs of this browser share the cookie: whoever is signed in here is signed in there. */
const tabs = new BroadcastChannel("commons.account");
tabs.onmessage = () => void findAccount();

function become(next: Account | null): void {
  account.value = next;
  signInReason.value = "";
  tabs.postMessage(null);
}

export async function findAccount(): Promise<void> {
  try {
    account.value = (await api.session()).account;
  } catch {
    // Nobody known; whoever tries to write will be asked, and answered, then.
    account.value ??= null;
  }
}

export async function signUp(name: string, password: string): Promise<void> {
  become((await api.signUp(name, password)).account);
}

export async function signIn(name: string, password: string): Promise<void> {
  become((await api.signIn(name, password)).account);
}

export async function signOut(): Promise<void> {
  await api.signOut();
  become(null);
}

/** The server no longer knows the session that this page believed in. */
export function expireSession(): void {
  signInReason.value = "Your session has ended. Sign in to go on; nothing that you wrote is lost.";
  account.value = null;
}
