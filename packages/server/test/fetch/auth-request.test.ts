import { describe, expect, it, vi } from 'vitest';

import { FetchAuthRequest } from '../../src/fetch/auth-request.js';

const url = 'https://agent.example/a2a';
const view = (headers: readonly (readonly [string, string])[], address = url) =>
  new FetchAuthRequest(
    new Request(address, {
      method: 'POST',
      headers: headers.map(([name, value]): [string, string] => [name, value]),
    }),
    () => ({}),
  );

describe('the view of a request', () => {
  it('tells method and URL as the framework has them', () => {
    const request = view([], `${url}?a=b`);
    expect([request.method, request.url]).toEqual(['POST', `${url}?a=b`]);
  });

  it('finds headers in any case, and none that is not there', () => {
    const request = view([['X-Key', 'k']]);
    expect(request.header('x-key')).toEqual(['k']);
    expect(request.header('X-KEY')).toEqual(['k']);
    for (const name of ['x-other', '__proto__', 'constructor', 'toString'])
      expect(request.header(name)).toEqual([]);
  });

  it('shows that Authorization was sent twice', () => {
    const request = view([
      ['Authorization', 'Bearer a'],
      ['authorization', 'Bearer b'],
    ]);
    expect(request.header('Authorization')).toEqual(['Bearer a', 'Bearer b']);
  });

  it('shows that a DPoP proof was sent twice', () => {
    const request = view([
      ['DPoP', 'a.b.c'],
      ['DPoP', 'd.e.f'],
    ]);
    expect(request.header('DPoP')).toEqual(['a.b.c', 'd.e.f']);
    expect(view([['DPoP', 'a.b.c']]).header('dpop')).toEqual(['a.b.c']);
  });

  it('leaves a comma in other headers where it is', () => {
    expect(view([['X-Signature', 'keyId="a",signature="b"']]).header('x-signature')).toEqual([
      'keyId="a",signature="b"',
    ]);
  });

  it('decodes the query, and shows what is repeated', () => {
    const request = view([], `${url}?key=a%20b&key=c+d&Key=e&%6bey=f&list[]=g&empty`);
    expect(request.query('key')).toEqual(['a b', 'c d', 'f']);
    expect(request.query('empty')).toEqual(['']);
    for (const name of ['list', 'other', '__proto__', 'toString']) expect(request.query(name)).toEqual([]);
  });

  it('decodes cookies, and shows what is repeated', () => {
    const request = view([['Cookie', 'key=a%20b; other=q; key=c; __proto__=d']]);
    expect(request.cookie('key')).toEqual(['a b', 'c']);
    expect(request.cookie('other')).toEqual(['q']);
    expect(request.cookie('__proto__')).toEqual(['d']);
    for (const name of ['Key', 'constructor', 'toString']) expect(request.cookie(name)).toEqual([]);
  });

  it('knows nothing of the connection by itself', () => {
    const request = view([['X-Forwarded-For', '10.0.0.1']]);
    expect([request.remoteAddress, request.peerAddress, request.clientCertificate]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('who is at the other end', () => {
  it.each<[string, () => never]>([
    [
      'throws',
      () => {
        throw new Error('There is no peer.');
      },
    ],
    ['gives nothing', () => undefined as never],
  ])('is asked once, also where the answer %s', (_, connect) => {
    const asked = vi.fn(connect);
    const request = new FetchAuthRequest(new Request(url), asked);
    for (let count = 0; count < 3; count++) expect(() => request.clientCertificate).toThrow();
    expect(asked).toHaveBeenCalledOnce();
  });
});
