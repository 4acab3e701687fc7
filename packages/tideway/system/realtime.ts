/**
 * One realtime service of the configuration: a hub with its stream log, the transports that clients reach, and the link
 * that the application's processes join. Owns their putting together and the order in which they end.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Logger, limits, type Target } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createLinkServer, type LinkServer } from "@tideway/edge/link";
import { openStreamStore, type SqliteStreamStore } from "@tideway/edge/store";
import { createTransports, type Transports } from "@tideway/edge/transports";
import { Hub, MemoryStreamStore, type StreamStore } from "@tideway/engine/hub";
import type { ServiceOf } from "../config/index.ts";
import { type RealtimeReport, socketPath } from "../console/index.ts";

type Options = ServiceOf<"realtime">["realtime"];
