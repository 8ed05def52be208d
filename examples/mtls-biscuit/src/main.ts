// An agent that wants a client certificate and a biscuit, and clients that have some of it:
//
//   npm start --workspace examples/mtls-biscuit              shows what becomes of each, and ends
//   npm start --workspace examples/mtls-biscuit -- --serve   goes on serving, at PORT or any that is free
import { rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';

import { biscuit } from '@a2a-auth/biscuit';
import {
  AgentSecurity,
  certificateTrust,
  createDevelopmentPki,
  mutualTls,
  serveMutualTls,
  type DecisionEvent,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import express from 'express';

import { createRequestHandler } from './agent.js';
import { ask, cancel, connect, problemOf, type Connection, type Credentials } from './client.js';
import { attenuate, createIssuer, endsIn } from './tokens.js';

const pki = await createDevelopmentPki({ clients: ['orchestrator', 'stranger'] });
const issuer = await createIssuer();
const trust = certificateTrust({ folder: pki.knownClients });

const app = express();
app.disable('x-powered-by');
const serving = await serveMutualTls(app, {
  ...pki.server,
  trust,
  host: '127.0.0.1',
  port: Number(process.env.PORT ?? 0),
});
const url = `https://localhost:${String((serving.server.address() as AddressInfo).port)}`;

const events: DecisionEvent[] = [];
const security = new AgentSecurity({ resource: url, onDecision: (event) => void events.push(event) })
  .addSecurityScheme('mtls', mutualTls({ trust }))
  .addSecurityScheme(
    'biscuit',
    biscuit({
      rootKeys: issuer.rootKey,
      authorizer: 'allow if operation($operation), right($operation), agent($agent)',
    }),
  )
  .addSecurityRequirement({ mtls: [], biscuit: [] });
app.use(agentRouter({ security, requestHandler: createRequestHandler(url) }));

const everything = issuer.issue('user("ada"); right("SendMessage"); right("GetTask"); right("CancelTask");');
const readOnly = issuer.issue('user("ada"); right("GetTask");');
const delegated = await attenuate(
  everything,
  issuer.rootKey,
  `check if operation("SendMessage"); check if peer_subject("orchestrator"); ${endsIn(600)}`,
);
const orchestrator = pki.clients.orchestrator ?? (await pki.issueClient('orchestrator'));
const stranger = pki.clients.stranger ?? (await pki.issueClient('stranger'));

if (process.argv.includes('--serve')) {
  // Before the first line: whoever has read it may send the signal.
  const stop = () => void shutDown();
  process.once('SIGTERM', stop).once('SIGINT', stop);
  console.log(`The agent: ${url}/a2a/jsonrpc`);
  console.log(curl());
} else {
  await show('no certificate', {});
  await show('a certificate, and no biscuit', { certificate: orchestrator });
  await show('a certificate, and a biscuit for reading', { certificate: orchestrator, biscuit: readOnly });
  await show('a certificate, and the biscuit that was delegated to it', {
    certificate: orchestrator,
    biscuit: delegated,
  });
  await show('the same biscuit with the certificate of somebody else', {
    certificate: stranger,
    biscuit: delegated,
  });
  await shutDown();
}

async function show(what: string, credentials: Credentials): Promise<void> {
  console.log(`With ${what}:`);
  try {
    const connection = await connect(url, pki.ca, credentials);
    report('SendMessage', await ask(connection.client), connection);
    report('CancelTask', await cancel(connection.client), connection);
  } catch (error) {
    console.log(`  The connection failed: ${problemOf(error)}`);
  }
  console.log('');
}

function report(operation: string, answer: string, connection: Connection): void {
  console.log(`  ${operation}: ${answer}`);
  const challenge = connection.challenge();
  if (challenge !== undefined) console.log(`    the challenge: ${challenge}`);
  for (const { granted, reason, schemes } of events.splice(0)) {
    const parts = schemes.map(({ schemeId, outcome, principalId, detail }) =>
      [`${schemeId} ${outcome}`, principalId, detail].filter((part) => part !== undefined).join(', '),
    );
    console.log(`    the audit event: ${granted ? 'granted' : reason}; ${parts.join('; ')}`);
  }
}

function curl(): string {
  const body = {
    jsonrpc: '2.0',
    id: 1,
    method: 'SendMessage',
    params: { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Who am I?' }] } },
  };
  return [
    `curl -i ${url}/a2a/jsonrpc --cacert ${pki.ca} --cert ${orchestrator.certificate} --key ${orchestrator.key} \\`,
    `  -H 'Content-Type: application/json' -H 'A2A-Version: 1.0' -H 'Authorization: Bearer ${delegated}' \\`,
    `  -d '${JSON.stringify(body)}'`,
  ].join('\n');
}

/** The connections of the clients are still open; they are not waited for. */
async function shutDown(): Promise<void> {
  await serving.close(0);
  await rm(pki.folder, { recursive: true });
}
