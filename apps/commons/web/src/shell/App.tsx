/** The page as a whole: header, who you are or could be, the timeline, and what is said in passing. */
import { account } from "../account/store.ts";
import { Welcome } from "../account/Welcome.tsx";
import { Composer } from "../timeline/Composer.tsx";
import { announcement } from "../timeline/store.ts";
import { TimelineView } from "../timeline/TimelineView.tsx";
import { Header } from "./Header.tsx";
import { Toasts } from "./Toasts.tsx";

export function App() {
  const visitor = account.value === null;
  return (
    <>
      <a class="skip-link" href="#timeline">
        Skip to the timeline
      </a>
      <Header />
      <main class={visitor ? "layout layout--visitor" : "layout"}>
        {visitor && <Welcome />}
        <div class="column">
          {account.value === undefined && <div class="composer composer--waiting" aria-hidden="true" />}
          {account.value && <Composer key={account.value.id} author={account.value} />}
          <TimelineView />
        </div>
      </main>
      <Toasts />
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement}
      </div>
    </>
  );
}
