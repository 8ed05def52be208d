import type { AgentCard } from '@a2a-js/sdk';

/** Where an agent answers, by binding. */
export type BindingPaths = Readonly<Record<'JSONRPC' | 'HTTP+JSON', string>>;

/**
 * Warns when a card leads to other paths than those that are answered: whoever goes by it would get a 404. It is no error,
 * because a proxy in front of the agent may lead from the one to the other.
 */
export function warnOfOtherPaths(card: AgentCard, paths: BindingPaths): void {
  // In JavaScript, a card may lack them.
  const interfaces = (card as Partial<AgentCard>).supportedInterfaces ?? [];
  for (const [binding, path] of Object.entries(paths)) {
    const named = interfaces.filter(
      ({ protocolBinding, url }) => protocolBinding === binding && URL.canParse(url),
    );
    const [first] = named;
    if (first === undefined || named.some(({ url }) => endsIn(url, path))) continue;
    process.emitWarning(
      `The agent card has ${first.url} for ${binding}, which is answered at the path ${path}. Unless a proxy leads there, callers get a 404: make the two the same.`,
      { code: 'A2A_AUTH_CARD_PATH' },
    );
  }
}

/** An agent that is mounted below a path knows only the end of its own. */
function endsIn(url: string, path: string): boolean {
  const withoutSlash = (text: string) => text.replace(/\/+$/, '').toLowerCase();
  return withoutSlash(new URL(url).pathname).endsWith(withoutSlash(path));
}
