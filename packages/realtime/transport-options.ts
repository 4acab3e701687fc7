/** Socket.IO's options of its engine, as our transports take them. */
import type { DeflateOptions, HttpCompressionOptions, TransportsOptions } from "@tideway/edge/transports";
import { type EngineRequest, exposed } from "./local-line.ts";
import type { HttpCompression, PerMessageDeflate, ServerOptions } from "./options.ts";

export function transportsOptions(
  options: Partial<ServerOptions> & { readonly path: string },
  find: (requestId: string) => EngineRequest | undefined,
): Omit<TransportsOptions, "clock" | "random" | "open"> {
  const { allowRequest } = options;
  return defined<Omit<TransportsOptions, "clock" | "random" | "open">>({
    path: options.path,
    transports: options.transports,
    allowUpgrades: options.allowUpgrades,
    pingIntervalMs: options.pingInterval,
    pingTimeoutMs: options.pingTimeout,
    upgradeTimeoutMs: options.upgradeTimeout,
    messageBytesMax: options.maxHttpBufferSize,
    perMessageDeflate: deflateOf(options.perMessageDeflate),
    httpCompression: compressionOf(options.httpCompression),
    cors: options.cors,
    cookie: options.cookie,
    origins: options.origins,
    roomReadersMax: options.roomReadersMax,
    roomReadersPerAddressMax: options.roomReadersPerAddressMax,
    roomPublishesPerSecondMax: options.roomPublishesPerSecondMax,
    allowRequest:
      allowRequest === undefined
        ? undefined
        : (request, decide) => {
            const original = find(request.requestId);
            if (original === undefined) decide("the request is gone", false);
            else allowRequest(exposed(original), decide);
          },
  });
}

/** What says how contexts are kept is passed over: there are none, in either direction. */
function deflateOf(given: PerMessageDeflate | boolean | undefined): DeflateOptions | boolean | undefined {
  if (typeof given !== "object") return given;
  const { threshold, serverMaxWindowBits, zlibDeflateOptions } = given;
  return defined<DeflateOptions>({
    thresholdBytes: threshold,
    level: zlibDeflateOptions?.level,
    memLevel: zlibDeflateOptions?.memLevel,
    windowBitsMax: typeof serverMaxWindowBits === "number" ? serverMaxWindowBits : zlibDeflateOptions?.windowBits,
  });
}

function compressionOf(given: HttpCompression | boolean | undefined): HttpCompressionOptions | boolean | undefined {
  if (typeof given !== "object") return given;
  return defined<HttpCompressionOptions>({ thresholdBytes: given.threshold, level: given.level });
}

/** Without the properties that are undefined: for the transports an option is given or it is not there. */
function defined<T extends object>(options: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
