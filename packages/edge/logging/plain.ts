/** Whether a text may stand in a log's line as it is: printable ASCII without the quote and the backslash. */

const plain = /^[ !#-[\]-~]*$/;
/** Calling a regular expression costs as much as looking at so many characters. */
const shortLength = 32;

export function isPlain(text: string): boolean {
  if (text.length > shortLength) return plain.test(text);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}
