import { importSPKI, jwtVerify } from 'jose';

import { ALGORITHM, AUDIENCE, ISSUER, type GivenSettings } from '../settings.js';
import { settings } from './agent.js';
import { serveBehindJose } from './jose-agent.js';

const key = await importSPKI(settings<GivenSettings>().publicKey, ALGORITHM);

await serveBehindJose((token) =>
  jwtVerify(token, key, { issuer: ISSUER, audience: AUDIENCE, algorithms: [ALGORITHM] }),
);
