/**
 * Front door of `edge/apphost`: runs the applications' processes. Starts them, gives each its port and the hub's address,
 * restarts what ends, drains and ends what should stop, and leaves nothing behind in whatever way Tideway itself ends.
 * Whether an instance is ready, and which one gets a request, is decided elsewhere: see `InstanceObserver`.
 */
import type { AppHost, AppHostOptions, InstanceStatus } from "./contract.ts";
import { Guard } from "./guard.ts";
import type { Surroundings } from "./instance.ts";
import { InstanceLedger } from "./ledger.ts";
import { PortPicker } from "./ports.ts";
import { Service } from "./service.ts";

export * from "./contract.ts";

export function createAppHost(options: AppHostOptions): AppHost {
  return new ProcessHost(options);
}

class ProcessHost implements AppHost {
  readonly #surroundings: Surroundings;
  readonly #services = new Map<string, Service>();
  #started = false;
  #stopped: Promise<void> | null = null;

  constructor(options: AppHostOptions) {
    const { clock, random, logger, observer } = options;
    this.#surroundings = {
      clock,
      random,
      logger,
      observer,
      ports: new PortPicker(random),
      guard: new Guard(clock, logger),
      ledger: new InstanceLedger(options.data, logger),
      env: options.env ?? process.env,
    };
    for (const [name, spec] of Object.entries(options.services))
      this.#services.set(name, new Service(name, spec, this.#surroundings));
  }

  async start(): Promise<void> {
    const { ledger, guard } = this.#surroundings;
    await ledger.endStale();
    if (this.#stopped !== null) throw new Error("the apphost was stopped");
    if (this.#services.size === 0) return;
    this.#started = true;
    guard.start();
    try {
      await Promise.all([...this.#services.values()].map((service) => service.start()));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    // What was never started has left nothing: the file in the data directory may be another's.
    if (!this.#started) return;
    await Promise.all([...this.#services.values()].map((service) => service.stop()));
    await this.#surroundings.guard.close();
    this.#surroundings.ledger.clear();
  }

  status(): InstanceStatus[] {
    return [...this.#services.values()].flatMap((service) => service.status());
  }

  ready(id: string): void {
    this.#serviceOf(id)?.find(id)?.ready();
  }

  notReady(id: string): void {
    this.#serviceOf(id)?.find(id)?.notReady();
  }

  async restart(id: string): Promise<void> {
    const service = this.#serviceOf(id);
    if (service === undefined) throw new Error(`no instance ${id}`);
    await service.restart(id);
  }

  async replace(name: string): Promise<void> {
    const service = this.#services.get(name);
    if (service === undefined) throw new Error(`no service ${name}`);
    await service.replace();
  }

  #serviceOf(id: string): Service | undefined {
    return this.#services.get(id.slice(0, id.lastIndexOf("-")));
  }
}
