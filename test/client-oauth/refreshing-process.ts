// One of several processes that share a folder of tokens. It imports the sources, and not the package: nothing is built.
import { refreshing } from '../../packages/client/src/oauth/refreshing.js';
import { fileTokenStore } from '../../packages/client/src/stores/file.js';

const { ISSUER = '', FOLDER = '', ROUNDS = '' } = process.env;

const source = refreshing({
  issuer: ISSUER,
  clientId: 'native',
  refreshToken: 'refresh-0',
  store: fileTokenStore({ folder: FOLDER }),
});

for (let round = 0; round < Number(ROUNDS); round++) {
  await source.credential({
    schemeId: 'oauth',
    scheme: { type: 'http', scheme: 'Bearer' },
    scopes: [],
    resource: 'https://agent.example',
    http: { method: 'POST', url: 'https://agent.example/' },
  });
}
