/** For visitors: what this place is, and the form to sign up or in. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import {
  NAME_LENGTH_MAX,
  NAME_LENGTH_MIN,
  NAME_PATTERN,
  NAME_RULE,
  PASSWORD_LENGTH_MAX,
  PASSWORD_LENGTH_MIN,
} from "../../../contract.ts";
import { RequestError } from "../api.ts";
import { signIn, signInReason, signUp } from "./store.ts";

const Mode = { signUp: "sign-up", signIn: "sign-in" } as const;
type Mode = (typeof Mode)[keyof typeof Mode];

export function Welcome() {
  const reason = signInReason.value;
  const [mode, setMode] = useState<Mode>(reason === "" ? Mode.signUp : Mode.signIn);
  return (
    <section class="welcome" aria-label="Sign up or sign in">
      <h2 class="welcome__title">{mode === Mode.signUp ? "Join the conversation" : "Welcome back"}</h2>
      <p class="welcome__text">
        {reason !== ""
          ? reason
          : "One timeline that everybody here writes together. Posts appear the moment they are written."}
      </p>
      <AccountForm key={mode} mode={mode} />
      <p class="welcome__switch">
        {mode === Mode.signUp ? "Been here before? " : "New here? "}
        <button
          type="button"
          class="link"
          data-testid={mode === Mode.signUp ? "show-sign-in" : "show-sign-up"}
          onClick={() => setMode(mode === Mode.signUp ? Mode.signIn : Mode.signUp)}
        >
          {mode === Mode.signUp ? "Sign in" : "Create an account"}
        </button>
      </p>
    </section>
  );
}

interface Faults {
  readonly name?: string;
  readonly password?: string;
  readonly form?: string;
}

function AccountForm({ mode }: { mode: Mode }) {
  const [faults, setFaults] = useState<Faults>({});
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const fresh = mode === Mode.signUp;

  useEffect(() => {
    form.current?.querySelector<HTMLInputElement>("[aria-invalid=true]")?.focus();
  }, [faults]);

  const onSubmit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) return;
    const entries = new FormData(form.current!);
    const name = String(entries.get("name")).trim();
    const password = String(entries.get("password"));
    const found = faultsOf(name, password, fresh);
    setFaults(found);
    if (found.name !== undefined || found.password !== undefined) return;
    setBusy(true);
    try {
      await (fresh ? signUp(name, password) : signIn(name, password));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const { name: ofName, password: ofPassword } = error.fields;
      const known = ofName !== undefined || ofPassword !== undefined;
      setFaults({
        ...(ofName === undefined ? {} : { name: ofName }),
        ...(ofPassword === undefined ? {} : { password: ofPassword }),
        ...(known ? {} : { form: error.message }),
      });
      setBusy(false);
    }
  };

  return (
    <form ref={form} class="form" data-testid={fresh ? "sign-up-form" : "sign-in-form"} noValidate onSubmit={onSubmit}>
      <Field
        label="Name"
        name="name"
        testId="username"
        autoComplete="username"
        maxLength={NAME_LENGTH_MAX}
        hint={fresh ? "Letters, digits, - and _. Everybody sees it." : ""}
        fault={faults.name}
      />
      <Field
        label="Password"
        name="password"
        testId="password"
        secret
        autoComplete={fresh ? "new-password" : "current-password"}
        maxLength={PASSWORD_LENGTH_MAX}
        hint={fresh ? `At least ${PASSWORD_LENGTH_MIN} characters.` : ""}
        fault={faults.password}
      />
      <p class="form__fault" role="alert">
        {faults.form}
      </p>
      <button type="submit" class="button button--primary button--wide" data-testid="submit" aria-disabled={busy}>
        {busy ? "One moment…" : fresh ? "Sign up" : "Sign in"}
      </button>
    </form>
  );
}

/** The server decides; this spares a trip for what is plain. */
function faultsOf(name: string, password: string, fresh: boolean): Faults {
  if (!fresh) {
    return {
      ...(name === "" ? { name: "Enter your name." } : {}),
      ...(password === "" ? { password: "Enter your password." } : {}),
    };
  }
  return {
    ...(name.length < NAME_LENGTH_MIN ? { name: `Use at least ${NAME_LENGTH_MIN} characters.` } : {}),
    ...(name.length >= NAME_LENGTH_MIN && !NAME_PATTERN.test(name) ? { name: NAME_RULE } : {}),
    ...(password.length < PASSWORD_LENGTH_MIN ? { password: `Use at least ${PASSWORD_LENGTH_MIN} characters.` } : {}),
  };
}

interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly testId: string;
  readonly autoComplete: string;
  readonly maxLength: number;
  readonly hint: string;
  readonly fault: string | undefined;
  readonly secret?: boolean;
}

function Field({ label, name, testId, autoComplete, maxLength, hint, fault, secret = false }: FieldProps) {
  const id = useId();
  const note = fault ?? hint;
  return (
    <div class="field">
      <label class="field__label" for={id}>
        {label}
      </label>
      <input
        id={id}
        class="field__input"
        name={name}
        {...(secret ? { type: "password" as const } : { type: "text" as const })}
        data-testid={testId}
        autoComplete={autoComplete}
        autoCapitalize="none"
        spellcheck={false}
        maxLength={maxLength}
        required
        aria-invalid={fault !== undefined}
        aria-describedby={note === "" ? undefined : `${id}-note`}
      />
      {note !== "" && (
        <p id={`${id}-note`} class={fault === undefined ? "field__note" : "field__note field__note--fault"}>
          {note}
        </p>
      )}
    </div>
  );
}
