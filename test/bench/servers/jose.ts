import type { Request, RequestHandler } from 'express';
import { importSPKI, jwtVerify } from 'jose';

import { ALGORITHM, AUDIENCE, ISSUER } from '../settings.js';
import { agentBehind, serve, settings, userNamed } from './agent.js';

const key = await importSPKI(settings().publicKey, ALGORITHM);
const subjects = new WeakMap<Request, string | undefined>();

const middleware: RequestHandler = (req, res, next) => {
  const [, token = ''] = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '') ?? [];
  jwtVerify(token, key, { issuer: ISSUER, audience: AUDIENCE, algorithms: [ALGORITHM] }).then(
    ({ payload }) => {
      subjects.set(req, payload.sub);
      next();
    },
    () => {
      res.status(401).end();
    },
  );
};

await serve(agentBehind([middleware], (req) => userNamed(subjects.get(req))));
