/** `tideway instance SERVICE INSTANCE`: changes the share of one running instance, drains it or takes it back. */
import { OperatorError } from "@tideway/base";
import { findConfiguration, loadPlan } from "../config/index.ts";
import { askControl } from "../console/index.ts";

interface Options {
  readonly weight?: string;
  readonly drain?: boolean;
  readonly undrain?: boolean;
  readonly json?: boolean;
}

export async function instance(
  service: string,
  id: string,
  given: string | undefined,
  options: Options,
): Promise<number> {
  const how = wish(options);
  const { dataDirectory } = await loadPlan(findConfiguration(given, process.cwd()), process.env);
  const query = new URLSearchParams({ service, instance: id, ...how });
  await askControl(dataDirectory, `/instance?${query}`, { method: "POST" });
  const said =
    "weight" in how ? `has the weight ${how["weight"]}` : how["how"] === "drain" ? "drains" : "is used again";
  process.stdout.write(
    options.json === true ? `${JSON.stringify({ service, instance: id, ...how })}\n` : `${id} ${said}.\n`,
  );
  return 0;
}

function wish({ weight, drain, undrain }: Options): Record<string, string> {
  const wishes = [weight, drain, undrain].filter((wish) => wish !== undefined);
  const number = Number(weight);
  const isWeight = weight === undefined || (number > 0 && number <= 1000);
  if (wishes.length === 1 && isWeight) return weight === undefined ? { how: drain ? "drain" : "undrain" } : { weight };
  throw new OperatorError("CONTROL_REFUSED", {
    where: "tideway instance",
    seen: isWeight ? `${wishes.length} wishes` : `--weight ${weight}`,
    allowed: isWeight ? "one of --weight, --drain and --undrain" : "a weight above 0, at most 1000",
    hint: "For example: tideway instance api 127.0.0.1:3001 --weight 2",
  });
}
