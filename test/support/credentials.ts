import {
  AgentSecurity,
  apiKey,
  httpBearer,
  TooManyAttempts,
  VerifierUnavailable,
  type AgentSecurityOptions,
  type Verification,
} from '@a2a-auth/server';

/** The headers that a caller sends. */
export type Headers = Readonly<Record<string, string>>;

const partnerKey = 'partner-0123456789';
const otherPartnerKey = 'other-partner-0123456789';
const tenantKey = 'tenant-0123456789';

const partner = { 'X-API-Key': partnerKey };
const tenant = { 'X-Tenant-Key': tenantKey };
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** What callers send who are let in. */
export const granted = {
  /** The left side of the OR. */
  partner,
  otherPartner: { 'X-API-Key': otherPartnerKey },
  /** The right side: the AND. */
  tenantAndUser: { ...tenant, ...bearer('ada') },
} satisfies Record<string, Headers>;

/** What callers send who are not, by what is wrong with it. */
export const denied = {
  missing: {},
  invalid: { 'X-API-Key': 'no-such-key' },
  malformed: { Authorization: 'Bearer two tokens' },
  'only the tenant': tenant,
  'only the user': bearer('ada'),
  'the tenant and a wrong user': { ...tenant, ...bearer('nobody') },
  'a wrong tenant and the user': { 'X-Tenant-Key': 'no-such-tenant', ...bearer('ada') },
  insufficient_scope: { ...tenant, ...bearer('reader') },
  not_permitted: { ...tenant, ...bearer('banned') },
  unavailable: { ...tenant, ...bearer('unavailable') },
  too_many_attempts: { ...tenant, ...bearer('too-many') },
} satisfies Record<string, Headers>;

/** Every string that is a secret of some caller. */
export const secrets: readonly string[] = [partnerKey, otherPartnerKey, tenantKey, 'Bearer ada'];

const tokens: Readonly<Record<string, () => Verification>> = {
  ada: () => ({
    verified: true,
    principal: { subject: 'ada', issuer: 'https://users.example' },
    scopes: ['call'],
  }),
  reader: () => ({
    verified: true,
    principal: { subject: 'reader', issuer: 'https://users.example' },
    scopes: [],
  }),
  banned: () => ({ verified: false, reason: 'not_permitted', detail: 'banned' }),
  unavailable: () => {
    throw new VerifierUnavailable('The provider is down.', { retryAfter: 7 });
  },
  'too-many': () => {
    throw new TooManyAttempts('Slow down.', { retryAfter: 1.5 });
  },
};

/** A partner's key, OR (a tenant's key AND a user's token with the scope `call`). */
export function createSecurity(options: AgentSecurityOptions = {}) {
  return (
    new AgentSecurity(options)
      // Registered before the tenant's key, so that the user is the primary principal.
      .addSecurityScheme(
        'userToken',
        httpBearer({
          verifier: {
            verify: (token) =>
              Object.hasOwn(tokens, token)
                ? (tokens[token] as () => Verification)()
                : { verified: false, reason: 'invalid', detail: 'unknown token' },
          },
        }),
      )
      .addSecurityScheme(
        'tenantKey',
        apiKey({
          in: 'header',
          name: 'X-Tenant-Key',
          keys: [{ key: tenantKey, id: 'tenant-1', owner: 'acme' }],
        }),
      )
      .addSecurityScheme(
        'partnerKey',
        apiKey({
          in: 'header',
          name: 'X-API-Key',
          keys: [
            { key: partnerKey, id: 'partner-1', owner: 'partner' },
            { key: otherPartnerKey, id: 'partner-2', owner: 'other-partner' },
          ],
        }),
      )
      .addSecurityRequirement({ partnerKey: [] })
      .addSecurityRequirement({ tenantKey: [], userToken: ['call'] })
  );
}
