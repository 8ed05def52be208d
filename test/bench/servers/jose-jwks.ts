import { createRemoteJWKSet, jwtVerify } from 'jose';

import { AUDIENCE, ISSUER, type IssuerSettings } from '../settings.js';
import { settings } from './agent.js';
import { serveBehindJose } from './jose-agent.js';

const { algorithm, jwksUri } = settings<IssuerSettings>();
const getKey = createRemoteJWKSet(new URL(jwksUri));

await serveBehindJose((token) =>
  jwtVerify(token, getKey, { issuer: ISSUER, audience: AUDIENCE, algorithms: [algorithm] }),
);
