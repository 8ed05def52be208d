import { randomBytes } from 'node:crypto';

import {
  AgentSecurity,
  apiKey,
  createApiKey,
  httpBearer,
  jwt,
  mutualTls,
  oauth2FromIssuer,
  type CertificateTrust,
} from '@a2a-auth/server';
import { SignJWT } from 'jose';

/** Everything a caller may present to meet one requirement. */
export interface Alternative {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The scopes of this agent, with what the card says about them. */
export const scopes = {
  'agent:ask': 'Ask the agent who one is.',
  'agent:status': 'See whether the agent is there; not enough to ask it anything.',
} as const;

/**
 * The quickstart's security: a partner's API key, OR a tenant's API key together with a user's token, OR an access token
 * of the authorization server, had by a service or by a person, OR a client certificate. All secrets are made anew with
 * every start.
 */
export async function createSecurity({
  resource,
  issuer,
  trust,
}: {
  resource: string;
  issuer: string;
  trust: CertificateTrust;
}) {
  const partnerKey = createApiKey('partner');
  const tenantKey = createApiKey('tenant');
  const tokenSecret = randomBytes(32);
  const tokenIssuer = 'https://users.example';

  const oauth = await oauth2FromIssuer({
    issuer,
    flows: ['clientCredentials', 'deviceCode'],
    scopes,
    audience: resource,
  });

  const security = new AgentSecurity({ resource })
    // Registered before the tenant's key, so that the user is the primary principal, by whom tasks are scoped.
    .addSecurityScheme(
      'userToken',
      httpBearer({
        bearerFormat: 'JWT',
        description: 'Who the user is: a signed JWT.',
        verifier: jwt({ issuer: tokenIssuer, audience: resource, secret: tokenSecret }),
      }),
    )
    .addSecurityScheme(
      'tenantKey',
      apiKey({
        in: 'header',
        name: 'X-Tenant-Key',
        description: 'Which tenant the user belongs to.',
        keys: [{ key: tenantKey, id: 'tenant-key-1', owner: 'acme' }],
      }),
    )
    .addSecurityScheme(
      'partnerKey',
      apiKey({
        in: 'header',
        name: 'X-API-Key',
        description: 'A key for partners.',
        keys: [{ key: partnerKey, id: 'partner-key-1', owner: 'example-partner' }],
      }),
    )
    .addSecurityScheme('service', oauth.clientCredentials)
    .addSecurityScheme('person', oauth.deviceCode)
    .addSecurityScheme('clientCertificate', mutualTls({ trust }))
    .addSecurityRequirement({ partnerKey: [] })
    .addSecurityRequirement({ tenantKey: [], userToken: [] })
    .addSecurityRequirement({ service: ['agent:ask'] })
    .addSecurityRequirement({ person: ['agent:ask'] })
    .addSecurityRequirement({ clientCertificate: [] });

  const token = await new SignJWT({ name: 'Ada' })
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setIssuer(tokenIssuer)
    .setAudience(resource)
    .setSubject('ada')
    .setIssuedAt()
    .setExpirationTime('12h')
    .sign(tokenSecret);

  const alternatives: readonly [Alternative, ...Alternative[]] = [
    { name: 'partnerKey', headers: { 'X-API-Key': partnerKey } },
    {
      name: 'tenantKey+userToken',
      headers: { 'X-Tenant-Key': tenantKey, Authorization: `Bearer ${token}` },
    },
  ];
  return { security, alternatives };
}
