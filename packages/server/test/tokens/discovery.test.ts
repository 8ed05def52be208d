import { OutboundError } from '@a2a-auth/server';
import { describe, expect, it } from 'vitest';

import { discoverIssuer } from '../../src/tokens/discovery.js';
import { METADATA_URL, metadataOf } from '../support/issuer.js';
import { down, hang, network } from '../support/network.js';
import { ISSUER } from '../support/token.js';

const RFC_8414_URL = `${ISSUER}/.well-known/oauth-authorization-server`;

describe('the metadata of an issuer', () => {
  it('is where OpenID Connect has it', async () => {
    const net = network({ [METADATA_URL]: metadataOf(ISSUER, { extra: 'kept' }) });
    const discovered = await discoverIssuer(ISSUER, net);
    expect(discovered.metadata).toMatchObject({ issuer: ISSUER, extra: 'kept' });
    expect(net.calls.map(({ url, method }) => `${method} ${url}`)).toEqual([`GET ${METADATA_URL}`]);
  });

  it('else is where RFC 8414 has it', async () => {
    const net = network({ [RFC_8414_URL]: metadataOf(ISSUER) });
    const discovered = await discoverIssuer(ISSUER, net);
    expect(discovered).toMatchObject({ metadata: { issuer: ISSUER }, foundAt: RFC_8414_URL });
    expect(net.calls.map(({ url }) => url)).toEqual([METADATA_URL, RFC_8414_URL]);
  });

  it.each([
    ['https://issuer.example/tenant', 'https://issuer.example/tenant/.well-known/openid-configuration'],
    ['https://issuer.example/', 'https://issuer.example/.well-known/openid-configuration'],
    ['https://issuer.example/a/b', 'https://issuer.example/a/b/.well-known/openid-configuration'],
    ['https://issuer.example/tenant', 'https://issuer.example/.well-known/oauth-authorization-server/tenant'],
    ['http://localhost:8080/realms/a', 'http://localhost:8080/realms/a/.well-known/openid-configuration'],
  ])('of %s is at %s', async (issuer, url) => {
    const net = network({ [url]: metadataOf(issuer) });
    expect((await discoverIssuer(issuer, net)).metadata.issuer).toBe(issuer);
  });

  it.each<[string, unknown]>([
    ['another one', 'https://evil.example'],
    ['itself with a slash', `${ISSUER}/`],
    ['itself with the default port', `${ISSUER}:443`],
    ['itself in upper case', ISSUER.toUpperCase()],
    ['a part of itself', 'https://issuer.exam'],
    ['nobody', undefined],
    ['a list', [ISSUER]],
  ])('that names %s is not accepted', async (_what, issuer) => {
    const lie = { ...metadataOf(ISSUER), issuer };
    const net = network({ [METADATA_URL]: lie, [RFC_8414_URL]: lie });
    await expect(discoverIssuer(ISSUER, net)).rejects.toThrow(OutboundError);
  });

  it('that names no tenant is not accepted for one (Microsoft’s common endpoint)', async () => {
    const issuer = 'https://login.microsoftonline.com/common/v2.0';
    const template = 'https://login.microsoftonline.com/{tenantid}/v2.0';
    const net = network({ [`${issuer}/.well-known/openid-configuration`]: metadataOf(template) });
    await expect(discoverIssuer(issuer, net)).rejects.toThrow(/instead of/);
  });

  it('that names another tenant is not accepted', async () => {
    const tenant = (id: string) => `https://login.microsoftonline.com/${id}/v2.0`;
    const net = network({ [`${tenant('a')}/.well-known/openid-configuration`]: metadataOf(tenant('b')) });
    await expect(discoverIssuer(tenant('a'), net)).rejects.toThrow(/instead of/);
  });

  it('of a liar may be right where RFC 8414 has it', async () => {
    const net = network({
      [METADATA_URL]: metadataOf('https://evil.example'),
      [RFC_8414_URL]: metadataOf(ISSUER),
    });
    expect((await discoverIssuer(ISSUER, net)).metadata.issuer).toBe(ISSUER);
  });

  it('that cannot be had says why, for both places', async () => {
    const net = network({ [METADATA_URL]: down });
    await expect(discoverIssuer(ISSUER, net)).rejects.toThrow(/did not answer: fetch failed.*; .*/);
  });

  it('is not waited for longer than the timeout, at each place', async () => {
    const net = network({ [METADATA_URL]: hang, [RFC_8414_URL]: hang });
    await expect(discoverIssuer(ISSUER, { fetch: net.fetch, timeout: 20 })).rejects.toThrow(OutboundError);
    expect(net.calls.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });

  it.each(['http://issuer.example', 'ftp://issuer.example', 'issuer.example', ''])(
    'is not looked for at %j',
    async (issuer) => {
      const net = network();
      await expect(discoverIssuer(issuer, net)).rejects.toThrow(OutboundError);
      expect(net.count()).toBe(0);
    },
  );
});
