/**
 * Front door of `edge/apphost`: runs the applications' processes. Starts them, gives each its port and the hub's address,
 * restarts what ends, drains and ends what should stop, and leaves nothing behind in whatever way Tideway itself ends.
 * Whether an instance is ready, and which one gets a request, is decided elsewhere: see `InstanceObserver`.
 */
import { ServiceChange, throwFirst } from "./change.ts";
import type { AppHost, AppHostOptions, InstanceStatus, ServiceSpec } from "./contract.ts";
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
  /** True when something may run: the guard is there, and a stop has something to end. */
  #running = false;
  #stopped: Promise<void> | null = null;
  /** Null before it was asked for. */
  #started: Promise<void> | null = null;
  /** Resolves when the start and every change that was asked for are over: changes come one after the other. */
  #line: Promise<void> = Promise.resolve();

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

  start(): Promise<void> {
    this.#started = this.#start();
    this.#line = this.#started.catch(() => {});
    return this.#started;
  }

  async #start(): Promise<void> {
    await this.#surroundings.ledger.endStale();
    this.#goOn();
    if (this.#services.size === 0) return;
    this.#run();
    try {
      await Promise.all([...this.#services.values()].map((service) => service.start()));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    this.#surroundings.guard.start();
  }

  #goOn(): void {
    if (this.#stopped !== null) throw new Error("the apphost was stopped");
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    // What was never started has left nothing: the file in the data directory may be another's.
    if (!this.#running) return;
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

  replace(name: string): Promise<void> {
    return this.#inLine(async () => {
      const service = this.#services.get(name);
      if (service === undefined) throw new Error(`no service ${name}`);
      const change = new ServiceChange(service, service.spec, true);
      await change.prepare();
      await change.apply();
    });
  }

  configure(services: Readonly<Record<string, ServiceSpec>>): Promise<void> {
    return this.#inLine(() => this.#configure(new Map(Object.entries(services))));
  }

  /** After everything that was asked for before, whether that went well or not; never without a start that went well. */
  #inLine(run: () => Promise<void>): Promise<void> {
    const started = this.#started;
    if (started === null) return Promise.reject(new Error("the apphost was not started"));
    const done = this.#line.then(async () => {
      this.#goOn();
      await started;
      await run();
    });
    this.#line = done.catch(() => {});
    return done;
  }

  async #configure(wanted: ReadonlyMap<string, ServiceSpec>): Promise<void> {
    const added: Service[] = [];
    const changes: ServiceChange[] = [];
    const before = new Map([...this.#services.values()].map((service) => [service, service.spec]));
    for (const [name, spec] of wanted) {
      const service = this.#services.get(name);
      if (service === undefined) added.push(new Service(name, spec, this.#surroundings));
      else changes.push(new ServiceChange(service, spec, false));
    }
    if (added.length > 0) this.#run();
    for (const service of added) this.#services.set(service.name, service);
    try {
      const trials = changes.map((change) => change.prepare());
      throwFirst(await Promise.allSettled([...added.map((service) => service.start()), ...trials]));
      throwFirst(await Promise.allSettled(changes.map((change) => change.apply())));
    } catch (error) {
      await Promise.all(added.map((service) => this.#remove(service)));
      // A stop ends everything: nothing is left to go back to.
      if (this.#stopped === null)
        await Promise.all(changes.map((change) => this.#takeBack(change, before.get(change.service)!)));
      throw error;
    }
    const removed = [...this.#services.values()].filter((service) => !wanted.has(service.name));
    await Promise.all(removed.map((service) => this.#remove(service)));
  }

  async #remove(service: Service): Promise<void> {
    await service.stop();
    this.#services.delete(service.name);
  }

  /** Back to what the service was before a change that failed, its own or another's. */
  async #takeBack(change: ServiceChange, spec: ServiceSpec): Promise<void> {
    const { service } = change;
    try {
      if (!change.isApplied) return await change.undo();
      const back = new ServiceChange(service, spec, false);
      await back.prepare();
      await back.apply();
    } catch (error) {
      this.#surroundings.logger.error(
        { service: service.name, error: String(error) },
        "a change could not be taken back",
      );
    }
  }

  #serviceOf(id: string): Service | undefined {
    return this.#services.get(id.slice(0, id.lastIndexOf("-")));
  }
}
