import { AgentCard } from '@a2a-js/sdk';
import { afterEach, beforeEach, expect, it, vi, type MockInstance } from 'vitest';

import { warnOfOtherPaths } from '../../src/http/card-paths.js';

const paths = { JSONRPC: '/a2a/jsonrpc', 'HTTP+JSON': '/a2a/rest' };
let warn: MockInstance<typeof process.emitWarning>;

beforeEach(() => {
  warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const cardOf = (...urls: readonly string[]) =>
  AgentCard.fromJSON({
    supportedInterfaces: urls.map((url) => ({ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' })),
  });

it.each([
  ['at the same path', ['https://agent.example/a2a/jsonrpc']],
  ['at the same path, with a slash', ['https://agent.example/A2A/jsonrpc/']],
  ['below the path that the agent is mounted at', ['https://example.com/agents/one/a2a/jsonrpc']],
  ['elsewhere as well', ['https://other.example/rpc', 'https://agent.example/a2a/jsonrpc']],
  ['at no URL', ['nonsense']],
  ['nowhere', []],
])('a card that has the binding %s is not warned of', (_, urls) => {
  warnOfOtherPaths(cardOf(...urls), paths);
  expect(warn).not.toHaveBeenCalled();
});

it.each([{}, { supportedInterfaces: null }, { supportedInterfaces: [{}] }])(
  'a card as JavaScript may have it is not warned of, and throws nothing: %j',
  (card) => {
    warnOfOtherPaths(card as AgentCard, paths);
    expect(warn).not.toHaveBeenCalled();
  },
);

it('a card that leads elsewhere is warned of, with what it says and what is answered', () => {
  warnOfOtherPaths(cardOf('https://agent.example/rpc'), paths);
  expect(warn).toHaveBeenCalledExactlyOnceWith(
    expect.stringMatching(/https:\/\/agent\.example\/rpc for JSONRPC, .*\/a2a\/jsonrpc/),
    { code: 'A2A_AUTH_CARD_PATH' },
  );
});
