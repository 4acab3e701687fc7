/** Entry of the page: its styles, its first requests, its live line. */
import { render } from "preact";
import { findAccount } from "./account/store.ts";
import { goLive } from "./live.ts";
import { App } from "./shell/App.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/account.css";
import "./styles/timeline.css";
import { reload } from "./timeline/store.ts";

void findAccount();
// What is there already is shown at once; the live line reads again when it stands.
void reload();
goLive();
render(<App />, document.getElementById("app")!);
