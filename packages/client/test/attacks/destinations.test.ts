import { apiKey, authenticatingFetch, bearer, connect, planAuthentication } from '@a2a-auth/client';
import { describe, expect, it } from 'vitest';

import { json, scriptedFetch } from '../support/agent.js';
import { bearerScheme, cardJson, headerKey, queryKey } from '../support/card.js';
import { serve } from '../support/serve.js';

const secret = 'S3CRET';

describe('a token for https://agent.example does not go to', () => {
  it.each([
    'https://agent.example.',
    'https://agent.example:444',
    'https://agent.example:80',
    'http://agent.example',
    'http://agent.example:443',
    'https://AGENT.example.evil.example',
    'https://agent.example@evil.example',
    'https://agent.example:443@evil.example',
    'https://evil.example#agent.example',
    'https://evil.example?agent.example',
    'https://evil.example/agent.example',
    'https://evil.example\\.agent.example',
    'https://evil.example\\@agent.example',
    'https://user@agent.example',
    'https://:password@agent.example',
    'https://аgent.example',
    'https://xn--gent-53d.example',
    'https://sub.agent.example',
    'https://example',
    'https://agent.example%2eevil.example',
    'https:evil.example',
    'https:///evil.example',
    'https://127.0.0.1',
    'http://127.0.0.1',
    'http://localhost.',
    'http://x.localhost',
    'http://2130706433',
    'http://0x7f.1',
    'http://0.0.0.0',
    'http://[::]',
    'http://[::ffff:127.0.0.1]',
    'wss://agent.example',
    'ftp://agent.example',
    'data:application/json,{}',
    'file:///etc/passwd',
    'blob:https://agent.example/x',
    'javascript:0',
  ])('%s', async (at) => {
    const { fetch, seen } = scriptedFetch(json({}));
    const card = cardJson({ token: bearerScheme }, [{ token: [] }], {
      supportedInterfaces: [{ url: at, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    });
    const authenticated = authenticatingFetch({
      url: 'https://agent.example',
      card,
      credentials: [bearer(secret)],
      fetch,
    });
    await expect(authenticated(at)).rejects.toThrow();
    expect(seen).toEqual([]);

    const agent = scriptedFetch(json(card));
    await expect(
      connect('https://agent.example', { credentials: [bearer(secret)], fetch: agent.fetch }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/ADDRESS_REFUSED|CARD_INVALID/) as string });
    expect(agent.seen).toHaveLength(1);
  });

  it.each(['//evil.example', '/rpc', 'rpc', '', '\\\\evil.example', '?x'])('the relative %j', async (at) => {
    const card = cardJson({ token: bearerScheme }, [{ token: [] }], {
      supportedInterfaces: [{ url: at, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    });
    const agent = scriptedFetch(json(card));
    await expect(
      connect('https://agent.example', { credentials: [bearer(secret)], fetch: agent.fetch }),
    ).rejects.toMatchObject({ code: 'CARD_INVALID' });
  });

  it('what looks the same: other letters of the same host do', async () => {
    const { fetch, seen } = scriptedFetch(json({}));
    const card = cardJson({ token: bearerScheme }, [{ token: [] }]);
    const options = { url: 'https://agent.example', card, credentials: [bearer(secret)], fetch };
    await authenticatingFetch(options)('HTTPS://AGENT.EXAMPLE:443/rpc');
    expect(seen).toHaveLength(1);
  });
});

describe('a redirect', () => {
  const locations = (url: string) => [
    `${url}/elsewhere`,
    '/same-origin',
    `//${new URL(url).host}/elsewhere`,
    'http://evil.example/',
    '',
  ];
  it.each([300, 301, 302, 303, 305, 307, 308])('by HTTP %i is not followed', async (status) => {
    const heard: string[] = [];
    const elsewhere = await serve((request, response) => {
      heard.push(request.url ?? '');
      response.end('{}');
    });
    for (const location of locations(elsewhere)) {
      const asked: string[] = [];
      const url = await serve((request, response) => {
        asked.push(request.url ?? '');
        response.writeHead(status, location === '' ? {} : { location }).end();
      });
      const card = cardJson({ key: headerKey(), query: queryKey() }, [{ key: [], query: [] }]);
      const credentials = { key: apiKey(secret), query: apiKey(secret) };
      await expect(
        authenticatingFetch({ url, card, credentials })(`${url}/rpc`, { method: 'POST', body: '{}' }),
      ).rejects.toMatchObject({
        code: 'ADDRESS_REFUSED',
        message: expect.not.stringContaining(secret) as string,
      });
      expect(asked).toHaveLength(1);
    }
    expect(heard).toEqual([]);
  });
});

describe('an API key is not put', () => {
  it.each([
    'Host',
    'host ',
    'Content-Length',
    'Transfer-Encoding',
    'TE',
    'Connection',
    'Keep-Alive',
    'Upgrade',
    'Expect',
    'Cookie',
    'Set-Cookie',
    'Proxy-Authorization',
    'X-Forwarded-For',
    'X-Real-IP',
    'A2A-Version',
    'A2A-Extensions',
    'Content-Type',
    'Accept',
    'Origin',
    'Referer',
    'User-Agent',
    ':authority',
    'X-Key\r\nX-Evil: 1',
    'X-Key: 1\r\nX-Evil',
    'X Key',
    'X-Kéy',
    '',
    'X'.repeat(129),
    'X-Key\u0000',
    '__proto__',
  ])('into the header %j', (name) => {
    const card = cardJson({ key: headerKey(name) }, [{ key: [] }]);
    expect(planAuthentication(card, [apiKey(secret)]).chosen).toBeUndefined();
  });

  it.each(['a=b', 'a;b', 'a b', '', 'a\r\nb', 'a,b', '"a"', 'ä'])('into the cookie %j', (name) => {
    const card = cardJson({ key: { apiKeySecurityScheme: { location: 'cookie', name } } }, [{ key: [] }]);
    expect(planAuthentication(card, [apiKey(secret)]).chosen).toBeUndefined();
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'anywhere but under the name %s, when that is its name',
    async (name) => {
      const { fetch, seen } = scriptedFetch(json({}));
      const header = name === '__proto__' ? 'X-Key' : name;
      const card = cardJson({ key: headerKey(header), query: queryKey(name) }, [{ key: [], query: [] }]);
      const credentials = { key: apiKey('h'), query: apiKey('q') };
      await authenticatingFetch({ url: 'https://agent.example', card, credentials, fetch })(
        'https://agent.example/rpc',
      );
      expect([...(seen[0]?.headers ?? [])]).toEqual([[header.toLowerCase(), 'h']]);
      expect([...new URL(seen[0]?.url ?? '').searchParams]).toEqual([[name, 'q']]);
    },
  );

  it('beside what is there already under its name in the query, but in its place', async () => {
    const { fetch, seen } = scriptedFetch(json({}));
    const card = cardJson({ query: queryKey('a b&c') }, [{ query: [] }]);
    await authenticatingFetch({
      url: 'https://agent.example',
      card,
      credentials: [apiKey('q&x=1#')],
      fetch,
    })('https://agent.example/rpc?a%20b%26c=1&a+b%26c=2&z=3');
    expect([...new URL(seen[0]?.url ?? '').searchParams]).toEqual([
      ['a b&c', 'q&x=1#'],
      ['z', '3'],
    ]);
  });
});

it('the error about an interface on another port of the loopback says what helps', async () => {
  const { fetch } = scriptedFetch(
    json(
      cardJson({ token: bearerScheme }, [{ token: [] }], {
        supportedInterfaces: [
          { url: 'http://localhost:4000/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
        ],
      }),
    ),
  );
  await expect(connect('http://localhost:3000', { credentials: [bearer('t')], fetch })).rejects.toMatchObject(
    { code: 'ADDRESS_REFUSED', message: expect.stringContaining('policy.origins') as string },
  );
});
