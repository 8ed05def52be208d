import { ClientSecretBasic, initiateDeviceAuthorization, pollDeviceAuthorizationGrant } from 'openid-client';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { bearer, sendMessage, stateOf } from '../support/oauth/agent.js';
import { oauthClient } from '../support/oauth/clients.js';
import type { Program } from '../support/program.js';
import { startQuickstart, type QuickstartJson } from '../support/quickstart.js';
import { findProgram } from './programs.js';

const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let json: QuickstartJson;
let program: Program;
let browser: Browser;

beforeAll(async () => {
  ({ json, program } = await startQuickstart());
  const executablePath = findProgram('chromium');
  if (executablePath === undefined) throw new Error('There is no chromium on PATH.');
  browser = await chromium.launch({ executablePath, args });
});
afterAll(async () => {
  await browser.close();
  await program.stop();
});

/** A page that sees nothing but the quickstart: the authorization server's own pages ask for a font from elsewhere. */
async function openPage(): Promise<Page> {
  const page = await browser.newPage();
  await page.route(
    ({ hostname }) => hostname !== 'localhost',
    (route) => route.abort(),
  );
  return page;
}

/** Starts the device flow of the quickstart's terminal. */
async function startDeviceFlow() {
  const { clients, resource } = json.authorizationServer;
  const terminal = clients.find(({ client_id: id }) => id === 'terminal');
  if (terminal === undefined) throw new Error('The quickstart lists no terminal.');
  const client = await oauthClient(json.authorizationServer, 'terminal', {
    authentication: ClientSecretBasic(terminal.client_secret),
  });
  const started = await initiateDeviceAuthorization(client, { scope: terminal.scope, resource });
  const tokens = pollDeviceAuthorizationGrant(client, { ...started, interval: 0.2 });
  // A test that fails before it asks for them has failed already.
  tokens.catch(() => undefined);
  return { started, tokens };
}

async function logIn(page: Page, name: string): Promise<void> {
  await page.getByPlaceholder('Enter any login').fill(name);
  await page.getByPlaceholder('and password').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Sign-in Success').waitFor();
}

it("a person opens the page of the device flow, confirms the code and logs in, and the device's token is granted", async () => {
  const { started, tokens } = await startDeviceFlow();
  const page = await openPage();
  await page.goto(started.verification_uri_complete ?? '', { waitUntil: 'domcontentloaded' });
  // The code is shown, to be compared with the one on the device.
  await page.getByText(started.user_code).waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  await logIn(page, 'grace');

  const answer = await sendMessage(
    { jsonRpcUrl: json.endpoints.JSONRPC },
    bearer((await tokens).access_token),
  );
  expect(stateOf(answer)).toBe('TASK_STATE_COMPLETED');
  expect(JSON.stringify(answer.body)).toContain('You are grace ');
});

it('a person types the code in, and goes on the same way', async () => {
  const { started, tokens } = await startDeviceFlow();
  const page = await openPage();
  await page.goto(started.verification_uri, { waitUntil: 'domcontentloaded' });
  await page.getByPlaceholder('Enter code').fill(started.user_code);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText(started.user_code).waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  await logIn(page, 'grace');
  expect((await tokens).access_token).not.toBe('');
});

it('a person says no, and the device gets no token', async () => {
  const { started, tokens } = await startDeviceFlow();
  const refused = expect(tokens).rejects.toMatchObject({ error: 'access_denied' });
  const page = await openPage();
  await page.goto(started.verification_uri_complete ?? '', { waitUntil: 'domcontentloaded' });
  await page.getByText(started.user_code).waitFor();
  await page.getByRole('button', { name: 'Abort' }).click();
  await refused;
});
