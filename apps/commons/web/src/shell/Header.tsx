/** The bar at the top: the name of the place, how the line stands, who is signed in. */
import { account, signOut } from "../account/store.ts";
import { type Line, line } from "../live.ts";
import { notice } from "../timeline/store.ts";
import { Avatar } from "./Avatar.tsx";
import { WaveIcon } from "./icons.tsx";

const LINE_WORDS: Record<Line, { label: string; meaning: string }> = {
  live: { label: "Live", meaning: "Connected: new posts appear by themselves." },
  connecting: { label: "Connecting", meaning: "The line is being set up. Nothing will be missed." },
  offline: {
    label: "Offline",
    meaning: "The server cannot be reached just now. We keep trying; nothing will be missed.",
  },
};

export function Header() {
  const user = account.value;
  return (
    <header class={user === null ? "header header--visitor" : "header"}>
      <div class="header__inner">
        <h1 class="brand">
          <a class="brand__link" href="/">
            <WaveIcon />
            Commons
          </a>
        </h1>
        <Connection />
        <div class="header__end">
          {user && (
            <>
              <span class="whoami">
                <Avatar account={user} small />
                <span class="whoami__name">{user.name}</span>
              </span>
              <button type="button" class="button button--quiet" data-testid="sign-out" onClick={() => void leave()}>
                Sign out
              </button>
            </>
          )}
        </div>
      </div>
    </header>
  );
}

async function leave(): Promise<void> {
  try {
    await signOut();
  } catch {
    notice.value = "You could not be signed out: the server did not answer. Try again.";
  }
}

function Connection() {
  const { label, meaning } = LINE_WORDS[line.value];
  return (
    <div class="connection" data-testid="connection" data-state={line.value} role="status" title={meaning}>
      <span class="connection__dot" aria-hidden="true" />
      <span class="connection__label">{label}</span>
    </div>
  );
}
