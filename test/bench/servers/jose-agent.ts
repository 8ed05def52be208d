import type { Request, RequestHandler } from 'express';
import type { JWTPayload, JWTVerifyResult } from 'jose';

import { agentBehind, serve, userNamed } from './agent.js';

/** Serves the agent behind a middleware that has tokens verified and does nothing else. */
export async function serveBehindJose(verify: (token: string) => Promise<JWTVerifyResult>): Promise<void> {
  const subjects = new WeakMap<Request, JWTPayload['sub']>();

  const middleware: RequestHandler = (req, res, next) => {
    const [, token = ''] = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '') ?? [];
    verify(token).then(
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
}
