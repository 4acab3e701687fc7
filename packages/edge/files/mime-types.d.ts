/** The slice of `mime-types` (which ships no types) that this room uses. */
declare module "mime-types" {
  /** The content type with its charset for a file's name or extension; false when unknown. */
  export function contentType(nameOrExtension: string): string | false;
  const types: { contentType: typeof contentType };
  export default types;
}
