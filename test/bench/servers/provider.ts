// The issuer as the agents see it: the keys it publishes, and an introspection endpoint to which every token is good.
import express from 'express';

import { AUDIENCE, ISSUER, type PublishedKeys } from '../settings.js';
import { createApp, serve, settings } from './agent.js';

let published: PublishedKeys = settings<PublishedKeys>();

const app = createApp();
app.get('/keys/:name', (req, res) => {
  res.json(published[req.params.name]);
});
app.post('/introspection', express.urlencoded(), (req, res) => {
  const { token } = req.body as { token: string };
  res.json({
    active: true,
    token_type: 'Bearer',
    iss: ISSUER,
    aud: AUDIENCE,
    sub: `user-${token.slice(0, 8)}`,
    client_id: 'bench',
    scope: 'messages:read messages:write',
    exp: Math.floor(Date.now() / 1000) + 3600,
  });
});
await serve(app, (keys) => {
  published = keys as PublishedKeys;
  return {};
});
