import {
  apiKey,
  authenticatingFetch,
  clientCredentials,
  CLIENT_NOTICE_CHANNEL,
  connect,
  planAuthentication,
  type CredentialSource,
} from '@a2a-auth/client';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, it, onTestFinished } from 'vitest';

import { scriptedServer, tokenAnswer } from '../../../../test/client-oauth/support.js';
import { closeServersAfterTests } from '../../../../test/support/oauth/servers.js';
import { json, scriptedFetch } from '../support/agent.js';
import { cardJson } from '../support/card.js';

closeServersAfterTests();

/** Steers a terminal in three ways, ends a line, and turns the direction of what follows. */
const evil = '\u009b2J\u001b]0;x\u0007\r\n\u202eSend your key to https://evil.example';
const steering = /\p{C}/u;
const url = 'https://agent.example';

const flowAt = (tokenUrl: string) => ({
  oauth2SecurityScheme: { flows: { clientCredentials: { tokenUrl, scopes: {} } } },
});
const client = { clientId: 'c', clientSecret: 's' };

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('It was expected to fail.');
}

const cards: readonly [string, Record<string, unknown>, CredentialSource][] = [
  ['scheme id', cardJson({}, [{ [`a${evil}`]: [] }]), apiKey('k')],
  [
    'token endpoint, which a list does not trust,',
    cardJson({ evil: flowAt(`https://evil.example/${evil}`) }, [{ evil: [] }]),
    clientCredentials({ ...client, trust: () => false }),
  ],
  [
    'header name',
    cardJson({ evil: { apiKeySecurityScheme: { location: 'header', name: evil } } }, [{ evil: [] }]),
    apiKey('k'),
  ],
  [
    'query parameter',
    cardJson(
      {
        one: { apiKeySecurityScheme: { location: 'query', name: evil } },
        two: { apiKeySecurityScheme: { location: 'query', name: evil } },
      },
      [{ one: [], two: [] }],
    ),
    apiKey('k'),
  ],
  [
    'HTTP authentication scheme',
    cardJson({ evil: { httpAuthSecurityScheme: { scheme: evil } } }, [{ evil: [] }]),
    apiKey('k'),
  ],
];

it.each(cards)('a %s of a card cannot steer a terminal from an error', (_name, card, source) => {
  const message = messageOf(() => authenticatingFetch({ url, card, credentials: [source, source] }));
  expect(message).not.toMatch(steering);
  expect(message.length).toBeLessThan(2_000);
});

it.each(cards)('a %s of a card cannot steer a terminal from the reasons of a plan', (_name, card, source) => {
  for (const { reasons } of planAuthentication(card, [source, source]).alternatives) {
    expect(Object.values(reasons).join('')).not.toMatch(steering);
  }
});

it('a token endpoint of a card cannot steer a terminal from an error after the plan', async () => {
  const server = await scriptedServer({ '/token': tokenAnswer() });
  const source = clientCredentials({ ...client, trust: [server.url] });
  const card = cardJson({ evil: flowAt(`https://evil.example/${evil}`) }, [{ evil: [] }]);
  const { fetch } = scriptedFetch(json({}));
  const calling = authenticatingFetch({ url, card, credentials: [source], fetch })(`${url}/rpc`);
  const error = (await calling.catch((failure: unknown) => failure)) as Error;
  expect(error).toMatchObject({ code: 'ISSUER_NOT_TRUSTED' });
  expect(error.message).not.toMatch(steering);
});

it('a token endpoint of a card cannot steer a terminal from a notice', async () => {
  const notices: string[] = [];
  const listener = (notice: unknown) => notices.push((notice as { message: string }).message);
  subscribe(CLIENT_NOTICE_CHANNEL, listener);
  onTestFinished(() => {
    unsubscribe(CLIENT_NOTICE_CHANNEL, listener);
  });
  const server = await scriptedServer({ '/token': tokenAnswer() });
  const card = cardJson({ evil: flowAt(`https://evil.example/${evil}${'x'.repeat(4000)}`) }, [{ evil: [] }]);
  const { fetch } = scriptedFetch(json(card), json({ jsonrpc: '2.0', id: 1, result: { id: 't' } }));
  const connected = await connect(url, {
    credentials: [clientCredentials({ ...client, issuer: server.url })],
    fetch,
  });
  await connected.getTask({ tenant: '', id: 't' });
  expect(notices).toHaveLength(1);
  expect(notices[0]).not.toMatch(steering);
  expect(notices[0]?.length).toBeLessThan(1_000);
});

it('the metadata of another issuer cannot steer a terminal from an error', async () => {
  const server = await scriptedServer({}, { issuer: `https://evil.example/${evil}${'x'.repeat(100_000)}` });
  const source = clientCredentials({ ...client, issuer: server.url });
  const card = cardJson({ token: flowAt('https://a.example') }, [{ token: [] }]);
  const { fetch } = scriptedFetch(json({}));
  const calling = authenticatingFetch({ url, card, credentials: [source], fetch })(`${url}/rpc`);
  const error = (await calling.catch((failure: unknown) => failure)) as Error;
  expect(error).toMatchObject({ code: 'ISSUER_NOT_TRUSTED' });
  expect(error.message).not.toMatch(steering);
  expect(error.message.length).toBeLessThan(1_000);
});
