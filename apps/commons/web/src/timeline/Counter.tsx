/** How much room is left in a post: quiet at first, plain when it matters. */
import { POST_LENGTH_MAX } from "../../../contract.ts";

const NEAR = 60;

export function Counter({ id, length }: { id: string; length: number }) {
  const left = POST_LENGTH_MAX - length;
  const state = left < 0 ? "over" : left <= NEAR ? "near" : length === 0 ? "empty" : "fine";
  return (
    <span id={id} class={`counter counter--${state}`}>
      <span aria-hidden="true">
        {length} / {POST_LENGTH_MAX}
      </span>
      <span class="visually-hidden">{left < 0 ? `${-left} characters too many` : `${left} characters left`}</span>
    </span>
  );
}
