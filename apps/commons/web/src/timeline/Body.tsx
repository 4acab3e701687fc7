/** The text of a post. Web addresses become links; nothing else in it is more than text. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,:;!?)\]}]/g;

export function Body({ text, testId }: { text: string; testId?: string }) {
  const parts: preact.ComponentChild[] = [];
  let at = 0;
  for (const match of text.matchAll(ADDRESS)) {
    parts.push(text.slice(at, match.index));
    parts.push(
      <a key={match.index} href={match[0]} target="_blank" rel="noopener noreferrer nofollow ugc">
        {match[0]}
      </a>,
    );
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return (
    <p class="post__body" dir="auto" data-testid={testId}>
      {parts}
    </p>
  );
}
