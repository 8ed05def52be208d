import { createPublicKey } from 'node:crypto';

import { auth } from 'express-oauth2-jwt-bearer';

import { ALGORITHM, AUDIENCE, ISSUER, type GivenSettings } from '../settings.js';
import { agentBehind, serve, settings, userNamed } from './agent.js';

// The key is given, as to all others; with a JWKS of the issuer, each request would look the key up besides.
const publicKey = createPublicKey(settings<GivenSettings>().publicKey).export({ format: 'jwk' });

await serve(
  agentBehind([auth({ issuer: ISSUER, audience: AUDIENCE, publicKey, tokenSigningAlg: ALGORITHM })], (req) =>
    userNamed(req.auth?.payload.sub),
  ),
);
