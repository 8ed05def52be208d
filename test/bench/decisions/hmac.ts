import { createHmac, createSecretKey, randomBytes } from 'node:crypto';

import { measureRounds } from './rounds.js';

const secret = createSecretKey(randomBytes(32));

await measureRounds(() => ({
  'createHmac of an API key, nothing else': (index) => {
    createHmac('sha256', secret)
      .update(`bench-key-of-thirty-two-letters-${String(index)}`)
      .digest('hex');
    return Promise.resolve();
  },
}));
