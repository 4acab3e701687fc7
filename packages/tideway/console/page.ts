/** The console's page, script and style: plain text, so that the console needs no build step and works when all else is broken. */

const head = (title: string) =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><link rel="stylesheet" href="/console.css">`;

export const loginPage = (
  refused: boolean,
) => `${head("Tideway console")}</head><body class="login"><main><h1>Tideway console</h1>
<p>The token lies in <code>console-token</code> in the data directory.</p>
<form method="post" action="/login"><label>Token <input name="token" type="password" autocomplete="current-password" required autofocus></label><button>Log in</button></form>
${refused ? '<p role="alert" class="bad">That is not the token.</p>' : ""}</main></body></html>`;

export const statusPage = `${head("Tideway console")}<script src="/console.js" defer></script></head><body>
<header><h1>Tideway</h1><p id="summary" aria-live="polite">Loading…</p></header>
<main>
<section><h2>Services</h2><table id="services"><thead><tr><th>Service</th><th>Kind</th><th class="n">Requests</th><th class="n">Waiting</th><th class="n">Retries</th><th class="n">Errors</th><th class="n">Ejections</th><th class="n">Turned away</th><th>Breaker</th></tr></thead><tbody></tbody></table></section>
<section><h2>Instances</h2><table id="instances"><thead><tr><th>Service</th><th>Instance</th><th>State</th><th>For</th><th class="n">Under way</th><th class="n">Connections</th><th class="n">Latency</th><th class="n">Requests</th><th class="n">Errors</th><th class="n">Restarts</th></tr></thead><tbody></tbody></table></section>
<section><h2>Real time</h2><table id="realtime"><thead><tr><th>Service</th><th>Path</th><th>Durability</th><th class="n">Connections</th><th class="n">Sockets</th><th>Servers</th><th>Streams</th></tr></thead><tbody></tbody></table></section>
<section><h2>Routes</h2><table id="sites"><thead><tr><th>Site</th><th>Path</th><th>Service</th></tr></thead><tbody></tbody></table></section>
<section><h2>Listeners</h2><table id="listeners"><thead><tr><th>Address</th><th class="n">Connections</th><th class="n">Upgraded</th><th class="n">Requests</th><th class="n">Refused</th><th class="n">Turned away</th></tr></thead><tbody></tbody></table></section>
<section><h2>TCP and UDP</h2><table id="streams"><thead><tr><th>Address</th><th>Protocol</th><th>Service</th><th class="n">Open</th><th class="n">Accepted</th><th class="n">Refused</th><th class="n">Unserved</th></tr></thead><tbody></tbody></table></section>
</main></body></html>`;

export const statusScript = `"use strict";
const everyMs = 2000;
function rows(id, list) {
  const body = document.querySelector("#" + id + " tbody");
  body.replaceChildren(...list.map((cells) => {
    const row = document.createElement("tr");
    for (const cell of cells) {
      const td = document.createElement("td");
      if (typeof cell === "number") { td.className = "n"; td.textContent = cell.toLocaleString("en"); }
      else if (cell && cell.amount !== undefined) { td.className = "n"; td.textContent = cell.amount; }
      else if (cell && cell.state) { const mark = document.createElement("span"); mark.className = "state " + cell.state; mark.textContent = cell.state; if (cell.why) mark.title = cell.why; td.append(mark); }
      else td.textContent = cell ?? "";
      row.append(td);
    }
    return row;
  }));
  document.getElementById(id).closest("section").hidden = list.length === 0;
}
function duration(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
  return Math.floor(s / 86400) + " days";
}
function errors(c) {
  if (!c) return "";
  return { amount: c.failures.toLocaleString("en") + (c.failures && c.requests ? " (" + (c.failures * 100 / c.requests).toFixed(1) + " %)" : "") };
}
async function refresh() {
  const summary = document.getElementById("summary");
  try {
    const answer = await fetch("/status.json");
    if (answer.status === 401) { location.reload(); return; }
    const s = await answer.json();
    summary.textContent = "Version " + s.version + ", running for " + duration(s.uptimeMs) + (s.names ? ", names at " + s.names.address : "");
    summary.className = "";
    const served = s.services.filter((v) => v.instances.length > 0 || v.counters);
    rows("services", served.map((v) => [v.name, v.kind, v.counters?.requests, v.waiting, v.counters?.retries, errors(v.counters), v.counters?.ejections, v.counters && v.counters.queueTimeouts + v.counters.queueRefusals + v.counters.unavailable + v.counters.breakerRefusals, v.breaker]));
    rows("instances", served.flatMap((v) => v.instances.map((i) => [v.name, i.id, { state: i.state, why: i.why }, i.forMs < 0 ? "" : duration(i.forMs), i.active, i.connections, { amount: i.latencyMs < 0 ? "" : i.latencyMs.toFixed(1) + " ms" }, i.counters?.requests, errors(i.counters), i.restarts])));
    rows("realtime", s.realtime.map((r) => [r.name, r.path, r.durability, r.connections, r.sockets, r.servers.map((v) => v.instance + " (" + v.sockets + ")").join(", "), r.streams.map((v) => v.namespace + " at " + v.last).join(", ")]));
    rows("sites", s.sites.map((r) => [r.site + (r.listener ? " at " + r.listener : ""), r.path + (r.when ? " (" + r.when + ")" : ""), r.service]));
    rows("listeners", s.listeners.map((r) => [r.address, r.connections, r.upgraded, r.requests, r.refused, r.shed]));
    rows("streams", (s.streams ?? []).map((r) => [r.address, r.protocol, r.service, r.counters.connections ?? r.counters.sessions, r.counters.accepted ?? r.counters.opened, r.counters.refused, r.counters.unserved]));
  } catch {
    summary.textContent = "Tideway does not answer.";
    summary.className = "bad";
  }
  setTimeout(refresh, everyMs);
}
refresh();
`;

export const statusStyle = `:root{color-scheme:light dark;--ink:light-dark(#1d2a33,#dfe7ec);--soft:light-dark(#5b6b75,#8b9aa4);--ground:light-dark(#f6f8f9,#12191e);--card:light-dark(#fff,#1a232a);--line:light-dark(#dde4e8,#2a363f);--good:light-dark(#12714a,#4cc38a);--wait:light-dark(#8a5a00,#e5b454);--bad:light-dark(#b3261e,#ff8a80)}
*{box-sizing:border-box}body{margin:0;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground)}
header,main{max-width:68rem;margin:auto;padding:1rem 1.25rem}header{display:flex;gap:1rem;align-items:baseline;flex-wrap:wrap}h1{font-size:1.25rem;margin:0}header p{margin:0;color:var(--soft)}
h2{font-size:.95rem;margin:1.25rem 0 .5rem}section{overflow-x:auto}table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);border-radius:8px}
th,td{text-align:left;white-space:nowrap;padding:.45rem .75rem;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}th{font-weight:600;color:var(--soft);font-size:.85rem}tr:last-child td{border-bottom:0}.n{text-align:right}
.state::before{content:"● "}.up{color:var(--good)}.checking,.draining{color:var(--wait)}.down,.bad{color:var(--bad)}
.login main{max-width:26rem;margin-top:18vh}.login label{display:block;margin:1rem 0}.login input{display:block;width:100%;padding:.55rem;font:inherit;border:1px solid var(--line);border-radius:6px;background:var(--card);color:inherit}
button{font:inherit;padding:.5rem 1.1rem;border:0;border-radius:6px;background:#0b6b8a;color:#fff;cursor:pointer}code{background:var(--card);padding:.1em .35em;border-radius:4px}`;
