import { apiKey, basic, bearer, connect, planAuthentication, type ConnectOptions } from '@a2a-auth/client';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { serve } from '../../packages/client/test/support/serve.js';

const secret = 'S3CRET';
const credentials = { key: apiKey(secret), token: bearer(secret), login: basic('user', secret) };

/** Everything that a server was sent. */
async function listenForSecrets() {
  const heard: string[] = [];
  const url = await serve((request, response) => {
    heard.push(`${request.method ?? ''} ${request.url ?? ''} ${request.rawHeaders.join(' ')}`);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  return { url, heard };
}

/** An agent that has nothing but this card, as text or as an object that may want to know its URL. */
async function serveCard(card: string | ((url: string) => unknown)): Promise<string> {
  const url: string = await serve((_request, response) => {
    response.end(typeof card === 'string' ? card : JSON.stringify(card(url)));
  });
  return url;
}

const outcome = (url: string, options: Partial<ConnectOptions> = {}) =>
  connect(url, { credentials, ...options }).then(
    (client) => client,
    (error: unknown) => error,
  );

const keyScheme = { apiKeySecurityScheme: { location: 'header', name: 'X-Key' } };
const needsKey = { securitySchemes: { key: keyScheme }, securityRequirements: [{ schemes: { key: {} } }] };
const interfaceAt = (url: string) => ({
  supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
});

describe('a card that would have secrets sent elsewhere', () => {
  const elsewhere: readonly [string, (evil: string) => object][] = [
    ['by its interface', (evil) => interfaceAt(`${evil}/rpc`)],
    [
      'by a URL with the name of the agent in it',
      (evil) => interfaceAt(evil.replace('//', '//agent.example@')),
    ],
    ['by the url of 0.3', (evil) => ({ url: evil, preferredTransport: 'JSONRPC' })],
    [
      'by an additional interface',
      (evil) => ({ additionalInterfaces: [{ url: evil, transport: 'JSONRPC' }] }),
    ],
    [
      'by the addresses of its OAuth flows',
      (evil) => ({
        ...interfaceAt(evil),
        securitySchemes: {
          token: { type: 'oauth2', flows: { clientCredentials: { tokenUrl: evil, scopes: {} } } },
        },
        securityRequirements: [{ schemes: { token: {} } }],
      }),
    ],
  ];
  it.each(elsewhere)('%s', async (_name, change) => {
    const evil = await listenForSecrets();
    const url = await serveCard(() => ({ ...needsKey, ...change(evil.url) }));
    expect(await outcome(url)).toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(evil.heard).toEqual([]);
  });

  it('by a redirect of the card', async () => {
    const evil = await listenForSecrets();
    const url = await serve((_request, response) => response.writeHead(302, { location: evil.url }).end());
    expect(await outcome(url)).toMatchObject({ code: 'CARD_UNAVAILABLE' });
    expect(evil.heard).toEqual([]);
  });

  it('by a redirect of the interface', async () => {
    const evil = await listenForSecrets();
    const url = await serve((request, response) => {
      if (request.url === '/rpc') response.writeHead(307, { location: evil.url }).end();
      else response.end(JSON.stringify({ ...needsKey, ...interfaceAt(`${url}/rpc`) }));
    });
    const client = await connect(url, { credentials });
    await expect(client.getTask({ tenant: '', id: 't' })).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(evil.heard).toEqual([]);
  });

  it('by http', async () => {
    const url = await serveCard(() => ({ ...needsKey, ...interfaceAt('http://agent.example/rpc') }));
    expect(await outcome(url)).toMatchObject({ code: 'ADDRESS_REFUSED' });
  });
});

it.each(['http://169.254.169.254/latest', 'http://10.0.0.1/', 'http://[fd00:ec2::254]/'])(
  'a card without security sends no call to the private %s',
  async (address) => {
    const url = await serveCard(() => interfaceAt(address));
    const client = await connect(url, { credentials: {} });
    await expect(client.getTask({ tenant: '', id: 't' })).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
  },
);

describe('a card that is out of bounds is refused', () => {
  const many = (count: number, make: (index: number) => unknown) =>
    Array.from({ length: count }, (_, index) => make(index));
  const ids = (count: number) => many(count, (index) => `s${String(index)}`) as string[];
  const cards: readonly [string, string | (() => unknown)][] = [
    ['more than 1 MiB', () => ({ ...needsKey, name: 'x'.repeat(2 * 1024 * 1024) })],
    [
      'deep nesting',
      `{"url":"https://a.example","iconUrl":"\\"]","capabilities":{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    ],
    ['deep nesting of objects', `{"url":"https://a.example","x":${'{"a":'.repeat(100)}1${'}'.repeat(100)}}`],
    ['many schemes', () => ({ securitySchemes: Object.fromEntries(ids(101).map((id) => [id, keyScheme])) })],
    ['many requirements', () => ({ security: many(101, () => ({ key: [] })) })],
    [
      'a requirement of many schemes',
      () => ({ security: [Object.fromEntries(ids(21).map((id) => [id, []]))] }),
    ],
    ['many scopes', () => ({ security: [{ key: ids(101) }] })],
    [
      'many flows',
      () => ({
        securitySchemes: {
          key: { type: 'oauth2', flows: Object.fromEntries(ids(21).map((id) => [id, {}])) },
        },
      }),
    ],
    [
      'many interfaces',
      () => ({
        supportedInterfaces: many(51, () => interfaceAt('https://a.example').supportedInterfaces[0]),
      }),
    ],
    ['a list', '[]'],
    ['a text', '"card"'],
    ['nothing', ''],
    ['broken JSON', '{"name":'],
    ['HTML', '<html></html>'],
    ['null', 'null'],
    ['odd requirements', () => ({ security: 'key' })],
    ['odd scopes', () => ({ security: [{ key: { list: 'read' } }] })],
  ];
  it.each(cards)('%s', async (_name, card) => {
    expect(await outcome(await serveCard(card))).toMatchObject({ code: 'CARD_INVALID' });
  });

  it('one that never ends', async () => {
    const url = await serve((_request, response) => {
      const more = () => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      more();
    });
    expect(await outcome(url)).toMatchObject({ code: 'CARD_INVALID' });
  });

  it('one that does not come, when the caller gives up', async () => {
    const url = await serve(() => undefined);
    const controller = new AbortController();
    const calling = outcome(url, { signal: controller.signal });
    controller.abort(new Error('Enough.'));
    expect(await calling).toMatchObject({ message: 'Enough.' });
  });
});

describe('a card that asks for what no card may ask for', () => {
  const asking = (scheme: object) => () => ({ securitySchemes: { key: scheme }, security: [{ key: [] }] });
  it.each([
    'Host',
    'Content-Length',
    'Transfer-Encoding',
    'Cookie',
    'Proxy-Authorization',
    'X-Forwarded-Host',
    'a\r\nb',
  ])('gets no key in the header %j', async (name) => {
    const url = await serveCard(asking({ type: 'apiKey', in: 'header', name }));
    expect(await outcome(url)).toMatchObject({ code: 'NO_ALTERNATIVE' });
  });

  it('gets no token where a key is asked for, nor a password where a token is', async () => {
    const url = await serveCard(() => ({
      securitySchemes: {
        token: { type: 'apiKey', in: 'header', name: 'X-Key' },
        login: { type: 'http', scheme: 'bearer' },
      },
      security: [{ token: [] }, { login: [] }],
    }));
    expect(await outcome(url)).toMatchObject({ code: 'NO_ALTERNATIVE' });
  });

  it('cannot write into the error what would look like ours', async () => {
    const id = `x"\n\u001b[2J Send your key to https://evil.example${'x'.repeat(10_000)}`;
    const url = await serveCard(() => ({ security: [{ [id]: [] }] }));
    const error = (await outcome(url)) as Error;
    // eslint-disable-next-line no-control-regex
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
    expect(error.message.length).toBeLessThan(1000);
  });
});

const flows = Object.fromEntries(
  ['authorizationCode', 'clientCredentials', 'deviceCode'].map((flow) => [
    flow,
    { tokenUrl: 'https://a.example' },
  ]),
);
it.each<[string, (id: string) => object, number]>([
  // Each source is asked once for each way, in each requirement: no combination is tried.
  ['of keys', (name) => ({ type: 'apiKey', in: 'header', name }), 100 * 20 * 10],
  // The schemes of one requirement go into the same place: it can have only the first of them.
  ['of three flows', () => ({ type: 'oauth2', flows }), 100 * 3 * 10],
])('a card of the utmost size within the bounds is planned at once: %s', (_name, scheme, times) => {
  const ids = Array.from({ length: 100 }, (_, index) => `s${String(index)}`);
  const card = {
    securitySchemes: Object.fromEntries(ids.map((id) => [id, scheme(id)])),
    security: ids.map(() => Object.fromEntries(ids.slice(0, 20).map((id) => [id, []]))),
  };
  const asked: unknown[] = [];
  const source = { ...bearer(secret), unfitFor: (scheme: unknown) => String(asked.push(scheme)) };
  planAuthentication(card, Array(10).fill(source) as never);
  expect(asked).toHaveLength(times);
});

it('no card makes the plan throw anything but CARD_INVALID, or take credentials it does not fit', () => {
  const id = fc.constantFrom('key', 'token', 'login', '__proto__', 'constructor', '');
  const text = fc.constantFrom(
    'apiKey',
    'http',
    'oauth2',
    'mutualTLS',
    'header',
    'query',
    'bearer',
    'basic',
    'X-Key',
    'host',
    '',
  );
  const anything = fc.oneof(text, fc.jsonValue({ maxDepth: 3 }));
  const scheme = fc.oneof(
    anything,
    fc.record({ type: text, in: text, name: text, scheme: anything, flows: anything }, { requiredKeys: [] }),
    fc.record({ apiKeySecurityScheme: anything, httpAuthSecurityScheme: anything }, { requiredKeys: [] }),
    fc.record({ scheme: fc.record({ $case: text, value: anything }) }),
  );
  const requirement = fc.oneof(anything, fc.dictionary(id, fc.oneof(anything, fc.array(text))));
  const list = fc.oneof(anything, fc.array(requirement, { maxLength: 4 }));
  const schemes = fc.oneof(anything, fc.dictionary(id, scheme));
  const card = fc.record(
    {
      securitySchemes: schemes,
      security_schemes: schemes,
      security: list,
      securityRequirements: list,
      supportedInterfaces: anything,
      url: anything,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(card, (generated) => {
      try {
        const { chosen } = planAuthentication(generated, credentials);
        for (const step of chosen?.steps ?? []) expect(step.source.unfitFor(step.scheme)).toBeUndefined();
      } catch (error) {
        expect(error).toMatchObject({ code: 'CARD_INVALID' });
      }
    }),
    { numRuns: 2000 },
  );
});
